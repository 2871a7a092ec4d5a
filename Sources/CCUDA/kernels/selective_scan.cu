// The selective scan's output. Where there are too few channels for the device, positions are split: `summary` scans
// every part on its own, `join` gives each part the state that it starts with, and `forward` scans again.
#include "selective_scan.cuh"

#define STATE_COUNT (STATES * SLICES)

// The positions of y that wait in shared memory to be written: fewer than a tile's, so that more warps fit.
#define WRITTEN (TILE < 16 ? TILE : 16)

struct __align__(16) Shared {
  element u[32 * row_pitch<element>(TILE)], delta[32 * row_pitch<element>(TILE)];
#if GATE
  element z[32 * row_pitch<element>(TILE)];
#endif
  real b[SLICES * COEFFICIENT_TILE], c[SLICES * COEFFICIENT_TILE];
  real y[32 * row_pitch<real>(WRITTEN)];
#if SLICES > 1
  real h[STATE_COUNT][32];
#endif
};

// The states of one lane: in registers, or in shared memory where they are many.
struct States {
  real a[STATES], h[STATES];
#if SLICES > 1
  const real *as;
  real *hs;
  DEVICE void load(int slice) {
#pragma unroll
    for (int n = 0; n < STATES; n++) {
      a[n] = as[slice * STATES + n] * decay_unit();
      h[n] = hs[(slice * STATES + n) * 32];
    }
  }
  DEVICE void store(int slice) {
#pragma unroll
    for (int n = 0; n < STATES; n++) hs[(slice * STATES + n) * 32] = h[n];
  }
#else
  DEVICE void load(int) {}
  DEVICE void store(int) {}
#endif
};

template <bool OUTPUT>
DEVICE void scan_unit(const Scan &s, const Rows &out, const real *entries, real *exits, real *sums) {
  SHARED_MEMORY(Shared, all);
  Shared &shared = all[threadIdx.x / 32];
  const Unit unit(s);
  if (!unit.there) return;
  const long long own = (long long)unit.batch * s.channels + unit.own, part = (long long)s.batch * s.channels;
  const long long place = (unit.split * part + own) * STATE_COUNT;
  const real bias = s.bias ? s.bias[unit.own] : 0, skip = s.d ? s.d[unit.own] : 0;
  States states;
#if SLICES > 1
  states.as = s.a + (long long)unit.own * STATE_COUNT;
  states.hs = &shared.h[0][unit.lane];
#endif
  for (int slice = 0; slice < SLICES; slice++) {
#pragma unroll
    for (int n = 0; n < STATES; n++) {
      const int at = slice * STATES + n;
      states.a[n] = s.a[(long long)unit.own * STATE_COUNT + at] * decay_unit();
      states.h[n] = OUTPUT && entries ? entries[place + at] : 0;
    }
    states.store(slice);
  }
  real sum = 0;
  const auto copy = [&](int first) {
    const int rest = unit.end - first;
    copy_rows<element, TILE>(shared.u, s.u, unit.at<element>(s.u), first, rest, unit.present);
    copy_rows<element, TILE>(shared.delta, s.delta, unit.at<element>(s.delta), first, rest, unit.present);
#if GATE
    if (OUTPUT) copy_rows<element, TILE>(shared.z, s.z, unit.at<element>(s.z), first, rest, unit.present);
#endif
    copy_async_commit();
  };
  element bs[COEFFICIENTS], cs[COEFFICIENTS];
  const auto fetch = [&](int first) {
    fetch_coefficients(bs, s.b, unit.at(s.b), first, unit.end - first);
    if (OUTPUT) fetch_coefficients(cs, s.c, unit.at(s.c), first, unit.end - first);
  };
  fetch(unit.first);
#pragma unroll 1
  for (int first = unit.first; first < unit.end; first += TILE) {
    const int rest = unit.end - first;
    copy(first);
    {
      element us[TILE], deltas[TILE];
      fetch_rows<element, TILE>(us, s.u, unit.at<element>(s.u), first, rest, unit.present);
      fetch_rows<element, TILE>(deltas, s.delta, unit.at<element>(s.delta), first, rest, unit.present);
#if GATE
      element zs[TILE];
      if (OUTPUT) fetch_rows<element, TILE>(zs, s.z, unit.at<element>(s.z), first, rest, unit.present);
#endif
      put_coefficients(shared.b, bs, s.b);
      if (OUTPUT) put_coefficients(shared.c, cs, s.c);
      put_rows<element, TILE>(shared.u, us, s.u, rest);
      put_rows<element, TILE>(shared.delta, deltas, s.delta, rest);
#if GATE
      if (OUTPUT) put_rows<element, TILE>(shared.z, zs, s.z, rest);
#endif
    }
    stage_more_coefficients(shared.b, s.b, unit.at(s.b), first, rest);
    if (OUTPUT) stage_more_coefficients(shared.c, s.c, unit.at(s.c), first, rest);
    copy_async_wait<0>();
    __syncwarp();
    if (rest > TILE) fetch(first + TILE);
#pragma unroll 1
    for (int chunk = 0; chunk < CHUNKS && chunk * CHUNK < rest; chunk++) {
      const int at = unit.lane * row_pitch<element>(TILE) + chunk * CHUNK;
      real step[CHUNK], input[CHUNK], y[CHUNK];
      steps_of(shared.delta + at, shared.u + at, bias, rest - chunk * CHUNK, step, input, y);
#pragma unroll
      for (int t = 0; t < CHUNK; t++) y[t] *= skip, sum += step[t];
#pragma unroll 1
      for (int slice = 0; slice < SLICES; slice++) {
        const int from = slice * COEFFICIENT_TILE + chunk * CHUNK * COEFFICIENT_PITCH;
        states.load(slice);
        advance<OUTPUT>(step, input, shared.b + from, shared.c + from, states.a, states.h, y);
        states.store(slice);
      }
      if (OUTPUT) {
#if GATE
        pass_gate(shared.z + at, y);
#endif
        const int begin = chunk * CHUNK / WRITTEN * WRITTEN, end = (chunk + 1) * CHUNK;
        store_chunk(shared.y + unit.lane * row_pitch<real>(WRITTEN) + chunk * CHUNK - begin, y);
        if (end % WRITTEN == 0 || end >= rest) {
          __syncwarp();
          write_rows<real, WRITTEN>(shared.y, out, unit.at<real>(out), first + begin, rest - begin, unit.present);
          __syncwarp();
        }
      }
    }
    __syncwarp();
  }
  if (unit.lane >= unit.present) return;
  if (!OUTPUT) sums[unit.split * part + own] = sum;
  if (OUTPUT && unit.split + 1 < s.splits) return;
  for (int slice = 0; slice < SLICES; slice++) {
    states.load(slice);
#pragma unroll
    for (int n = 0; n < STATES; n++) exits[(OUTPUT ? own * STATE_COUNT : place) + slice * STATES + n] = states.h[n];
  }
}

// `entries`, the states before each part [splits, B, D, N], may be null where there is one part.
KERNEL __launch_bounds__(WARPS * 32, BLOCKS) selective_scan_forward(Scan s, Rows y, const real *entries, real *last) {
  scan_unit<true>(s, y, entries, last, nullptr);
}

// Every part from a state of zero: the states after it [splits, B, D, N], and the sum of its steps [splits, B, D].
KERNEL __launch_bounds__(WARPS * 32, BLOCKS) selective_scan_summary(Scan s, real *exits, real *sums) {
  scan_unit<false>(s, Rows(), nullptr, exits, sums);
}

// The states after parts that started from zero become those before each part. A part with steps of the sum S
// multiplies what enters it by exp(S A).
// `backwards`, what parts hand to those before them becomes what is handed to each.
KERNEL selective_scan_join(
    const real *a, real *states, const real *sums, long long count, int channels, int splits, int backwards) {
  const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count * STATE_COUNT) return;
  const long long own = i / STATE_COUNT;
  const real rate = a[own % channels * STATE_COUNT + i % STATE_COUNT] * decay_unit();
  real carry = 0;
  for (int k = 0; k < splits; k++) {
    const int split = backwards ? splits - 1 - k : k;
    real &state = states[split * count * STATE_COUNT + i];
    const real exit = multiply_add(decay(rate * sums[split * count + own]), carry, state);
    state = carry;
    carry = exit;
  }
}
