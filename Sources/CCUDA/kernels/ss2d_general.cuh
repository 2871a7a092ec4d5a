// What both general kernels of the 2-D scan compute with: time steps, decays and directions.

#if ELEMENT == 3
constexpr real unit = 1;
DEVICE real softplus(real z) { return z > 20 ? z : log1p(exp(z)); }
DEVICE real softplus_slope(real step) { return -expm1(-step); }
DEVICE real power(real x) { return exp(x); }
#else
// Steps are in units of ln 2, so that a decay is a power of two.
constexpr real unit = 0.6931471805599453f;
#if ELEMENT == 0
DEVICE real softplus(real z) {
  const float t = fast_exp2(-fabsf(z));
  // Minimax for log2(1 + t) / t on [0, 1], relative error 2e-8.
  float p = fmaf(t, -2.783160423859954e-3f, 2.019071765244007e-2f);
  p = fmaf(p, t, -6.651454418897629e-2f);
  p = fmaf(p, t, 1.3734637200832367e-1f);
  p = fmaf(p, t, -2.1173414587974548e-1f);
  p = fmaf(p, t, 2.8077247738838196e-1f);
  p = fmaf(p, t, -3.5942214727401733e-1f);
  p = fmaf(p, t, 4.8079347610473633e-1f);
  p = fmaf(p, t, -7.213440537452698e-1f);
  p = fmaf(p, t, 1.4426950216293335f);
  return fmaf(p, t, z < 0.f ? 0.f : z);
}
DEVICE real softplus_slope(real step) {
  // Minimax for (1 - 2^-s) / s on [0, 1/2], relative error 1e-8; above, nothing cancels.
  float q = fmaf(step, -1.5383654681500047e-4f, 1.3387389481067657e-3f);
  q = fmaf(q, -step, 9.618307463824749e-3f);
  q = fmaf(q, -step, 5.550367385149002e-2f);
  q = fmaf(q, -step, 2.4022649228572845e-1f);
  q = fmaf(q, -step, 6.931471824645996e-1f);
  return step < 0.5f ? step * q : 1.f - fast_exp2(-step);
}
#else
DEVICE real softplus(real z) { return max(z, fast_log2(1.f + fast_exp2(min(z, 126.f)))); }
DEVICE real softplus_slope(real step) { return 1.f - fast_exp2(-step); }
#endif
DEVICE real power(real x) { return fast_exp2(x); }
#endif

struct alignas(4 * sizeof(real)) Quad {
  real v[4];
};

// Where a direction walks: 0 rows, 1 columns, 2 and 3 their reverses.
struct Direction {
  int index;
  bool column, reverse;
  DEVICE explicit Direction(int k) : index(k), column(k & 1), reverse(k & 2) {}
};

// The state before a warp's share of the segments: every warp of the block gives the sum of its steps and the state after them
// from nothing. `pieces` holds [warps][2][32].
DEVICE real state_before(real *pieces, int warp, int lane, real a, real sum, real state) {
  pieces[2 * warp * lanes + lane] = sum;
  pieces[(2 * warp + 1) * lanes + lane] = state;
  __syncthreads();
  state = 0;
  for (int i = 0; i < warp; i++) {
    state = power(a * pieces[2 * i * lanes + lane]) * state + pieces[(2 * i + 1) * lanes + lane];
  }
  return state;
}
