// The gradients of the selective scan. A warp first scans forwards and keeps the states before every chunk of eight
// positions, then goes through the chunks from the last to the first and computes the states inside each again.
//
//   G_t = C_t g_t + exp(dt_{t+1} A) G_{t+1}     the gradient of the state h_t, where g_t is that of y_t before the gate
//   du_t = dt_t sum_n G_t B_t + D g_t           ddt_t = sum_n G_t (A exp(dt_t A) h_{t-1} + B_t u_t)
//   dB_t = sum_d G_t dt_t u_t                   dC_t = sum_d g_t h_t
//   dA = sum_t G_t dt_t exp(dt_t A) h_{t-1}
//
// Sums over channels are those of a warp's lanes; `coefficients` adds the warps' in the order of channels.
#include "selective_scan.cuh"

#define STATE_COUNT (STATES * SLICES)

// The states of which a chunk's history is in registers at one time.
#define PART (STATES > 8 && STATES % 4 == 0 ? 4 : STATES % 2 == 0 ? 2 : 1)
#define PARTS (STATE_COUNT / PART)
// What a chunk and a part give to the gradients of B and C: pairs of both, states, positions.
#define SUMS (2 * CHUNK * PART)

// In the tiles that are read, gradients replace what they are of.
struct __align__(16) Shared {
  element u[32 * row_pitch<element>(TILE)], delta[32 * row_pitch<element>(TILE)];
#if GATE
  element z[32 * row_pitch<element>(TILE)];
#endif
  real dy[32 * row_pitch<real>(TILE)];
  real b[SLICES * COEFFICIENT_TILE], c[SLICES * COEFFICIENT_TILE];
  real a[STATE_COUNT][32], carry[STATE_COUNT][32], da[STATE_COUNT][32];
};

struct Gradients {
  Rows y, u, delta, z;  // y is read, in real
  real *a, *d, *bias;   // [splits, B, D, N] and [splits, B, D]; all are written
  real *sums;           // [B, G, warps, ceil(L / 8), PARTS, SUMS]
  real *states;         // [B, G, warps, splits, span / 8, N, 32]: those before each chunk
  const real *entries;  // [splits, B, D, N]: the states before each part of the positions; null where there is one part
  const real *returns;  // the same: what the part after it hands to each part, exp(dt A) G of its first position
};

// Adds COUNT values over the lanes. Lane l gets the sums 2 l and 2 l + 1 of 64, l of 32, l / 2 of 16.
template <int COUNT>
DEVICE void add_lanes(real (&v)[COUNT]) {
  const int lane = threadIdx.x % 32;
  int count = COUNT;
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) {
    if (count > 1) {
      count /= 2;
      const bool upper = lane & mask;
#pragma unroll
      for (int i = 0; i < COUNT / 2; i++) {
        if (i >= count) break;
        const real low = v[i], high = v[i + count];
        v[i] = (upper ? high : low) + __shfl_xor_sync(~0u, upper ? low : high, mask);
      }
    } else {
      v[0] += __shfl_xor_sync(~0u, v[0], mask);
    }
  }
}

// The coefficients of a part's states at one position.
DEVICE void load_part(const real *from, real (&to)[PART]) {
#if PART == 4
  const Four v = load_four(from);
#pragma unroll
  for (int p = 0; p < PART; p++) to[p] = v.v[p];
#else
#pragma unroll
  for (int p = 0; p < PART; p++) to[p] = from[p];
#endif
}

// What the three walks read.
enum Reads { READS_U = 1, READS_DY = 2, READS_B = 4, READS_C = 8 };

template <int READS>
struct Reader {
  const Scan &s;
  const Rows &dys;
  const Unit &unit;
  Shared &shared;
  // Starts what is copied without passing through registers.
  DEVICE void copy(int first) const {
    const int rest = unit.end - first;
    if (READS & READS_U) copy_rows<element, TILE>(shared.u, s.u, unit.at<element>(s.u), first, rest, unit.present);
    copy_rows<element, TILE>(shared.delta, s.delta, unit.at<element>(s.delta), first, rest, unit.present);
    if (READS & READS_DY) {
      copy_rows<real, TILE>(shared.dy, dys, unit.at<real>(dys), first, rest, unit.present);
#if GATE
      copy_rows<element, TILE>(shared.z, s.z, unit.at<element>(s.z), first, rest, unit.present);
#endif
    }
    copy_async_commit();
  }

  // Reads a tile; its positions begin at `first`.
  DEVICE void read(int first) const {
    const int rest = unit.end - first;
    __syncwarp();
    copy(first);
    element us[TILE], deltas[TILE], zs[TILE], bs[COEFFICIENTS], cs[COEFFICIENTS];
    real g[TILE];
    if (READS & READS_B) fetch_coefficients(bs, s.b, unit.at(s.b), first, rest);
    if (READS & READS_C) fetch_coefficients(cs, s.c, unit.at(s.c), first, rest);
    if (READS & READS_U) fetch_rows<element, TILE>(us, s.u, unit.at<element>(s.u), first, rest, unit.present);
    fetch_rows<element, TILE>(deltas, s.delta, unit.at<element>(s.delta), first, rest, unit.present);
    if (READS & READS_DY) {
      fetch_rows<real, TILE>(g, dys, unit.at<real>(dys), first, rest, unit.present);
      if (GATE) fetch_rows<element, TILE>(zs, s.z, unit.at<element>(s.z), first, rest, unit.present);
    }
    if (READS & READS_B) put_coefficients(shared.b, bs, s.b);
    if (READS & READS_C) put_coefficients(shared.c, cs, s.c);
    if (READS & READS_U) put_rows<element, TILE>(shared.u, us, s.u, rest);
    put_rows<element, TILE>(shared.delta, deltas, s.delta, rest);
    if (READS & READS_DY) {
      put_rows<real, TILE>(shared.dy, g, dys, rest);
#if GATE
      put_rows<element, TILE>(shared.z, zs, s.z, rest);
#endif
    }
    if (READS & READS_B) stage_more_coefficients(shared.b, s.b, unit.at(s.b), first, rest);
    if (READS & READS_C) stage_more_coefficients(shared.c, s.c, unit.at(s.c), first, rest);
    copy_async_wait<0>();
    __syncwarp();
  }
};

// The states before every chunk.
DEVICE void keep_states(const Scan &s, const Unit &unit, Shared &shared, real bias, const real *entries, real *states) {
  real a[STATES], h[STATES];
#pragma unroll 1
  for (int n = 0; n < STATE_COUNT; n++) shared.carry[n][unit.lane] = entries ? entries[n] : 0;
#if SLICES == 1
#pragma unroll
  for (int n = 0; n < STATES; n++) a[n] = shared.a[n][unit.lane], h[n] = shared.carry[n][unit.lane];
#endif
  const Reader<READS_U | READS_B> reader{s, s.u, unit, shared};
#pragma unroll 1
  for (int first = unit.first; first < unit.end; first += TILE) {
    const int rest = unit.end - first;
    reader.read(first);
#pragma unroll 1
    for (int chunk = 0; chunk < CHUNKS && chunk * CHUNK < rest; chunk++) {
      const int at = unit.lane * row_pitch<element>(TILE) + chunk * CHUNK;
      real step[CHUNK], input[CHUNK], x[CHUNK];
      steps_of(shared.delta + at, shared.u + at, bias, rest - chunk * CHUNK, step, input, x);
#pragma unroll 1
      for (int slice = 0; slice < SLICES; slice++) {
        const real *b = shared.b + slice * COEFFICIENT_TILE + chunk * CHUNK * COEFFICIENT_PITCH;
#if SLICES > 1
#pragma unroll
        for (int n = 0; n < STATES; n++)
          a[n] = shared.a[slice * STATES + n][unit.lane], h[n] = shared.carry[slice * STATES + n][unit.lane];
#endif
#pragma unroll
        for (int n = 0; n < STATES; n++) states[(slice * STATES + n) * 32] = h[n];
        advance<false>(step, input, b, b, a, h, x);
#if SLICES > 1
#pragma unroll
        for (int n = 0; n < STATES; n++) shared.carry[slice * STATES + n][unit.lane] = h[n];
#endif
      }
      states += STATE_COUNT * 32;
    }
  }
}

// A chunk of a part that starts with the states `start`, from its last position to its first. Adds to `through`
// sum_n G B, to `rate` sum_n A G exp(dt A) h_{t-1} in the decay's unit, and to `y` sum_n C h.
DEVICE void retrace(
    const real (&step)[CHUNK], const real (&input)[CHUNK], const real (&g)[CHUNK], const real *b, const real *c,
    const real (&start)[PART], real (*as)[32], real (*carries)[32], real (*das)[32], real (&through)[CHUNK],
    real (&rate)[CHUNK], real (&y)[CHUNK], real *sums) {
  const int lane = threadIdx.x % 32;
  real a[PART], carry[PART], da[PART], e[CHUNK][PART], h[CHUNK][PART], v[SUMS];
#pragma unroll
  for (int p = 0; p < PART; p++) a[p] = as[p][lane], carry[p] = carries[p][lane], da[p] = das[p][lane];
#pragma unroll
  for (int t = 0; t < CHUNK; t++) {
    real bs[PART];
    load_part(b + t * COEFFICIENT_PITCH, bs);
#pragma unroll
    for (int p = 0; p < PART; p++) {
      e[t][p] = decay(step[t] * a[p]);
      h[t][p] = multiply_add(e[t][p], t ? h[t - (t > 0)][p] : start[p], input[t] * bs[p]);
    }
  }
#pragma unroll
  for (int t = CHUNK - 1; t >= 0; t--) {
    real bs[PART], cs[PART];
    load_part(b + t * COEFFICIENT_PITCH, bs);
    load_part(c + t * COEFFICIENT_PITCH, cs);
#pragma unroll
    for (int p = 0; p < PART; p++) {
      const real gradient = multiply_add(g[t], cs[p], carry[p]);
      if (GATE) y[t] = multiply_add(cs[p], h[t][p], y[t]);
      through[t] = multiply_add(gradient, bs[p], through[t]);
      carry[p] = e[t][p] * gradient;
      const real slope = carry[p] * (t ? h[t - (t > 0)][p] : start[p]);
      rate[t] = multiply_add(a[p], slope, rate[t]);
      da[p] = multiply_add(step[t], slope, da[p]);
      v[(t * PART + p) * 2] = gradient * input[t];
      v[(t * PART + p) * 2 + 1] = g[t] * h[t][p];
    }
  }
#pragma unroll
  for (int p = 0; p < PART; p++) carries[p][lane] = carry[p], das[p][lane] = da[p];
  add_lanes(v);
#if PART == 4
  sums[2 * lane] = v[0], sums[2 * lane + 1] = v[1];
#elif PART == 2
  sums[lane] = v[0];
#else
  if (lane % 2 == 0) sums[lane / 2] = v[0];
#endif
}

KERNEL __launch_bounds__(WARPS * 32, BLOCKS) selective_scan_backward(Scan s, Gradients d) {
  SHARED_MEMORY(Shared, all);
  Shared &shared = all[threadIdx.x / 32];
  const Unit unit(s);
  if (!unit.there) return;
  const int lane = unit.lane;
  const bool present = lane < unit.present;
  const real bias = s.bias ? s.bias[unit.own] : 0, skip = s.d ? s.d[unit.own] : 0;
  const long long own = ((long long)unit.split * s.batch + unit.batch) * s.channels + unit.own;
  const long long row = ((long long)unit.batch * s.groups + unit.group) * s.warps + unit.warp;
  real *const states = d.states + (row * s.splits + unit.split) * (s.span / CHUNK) * (STATE_COUNT * 32) + lane;
  real *const sums = d.sums + row * ((s.length + CHUNK - 1) / CHUNK) * (PARTS * SUMS);
#pragma unroll 1
  for (int n = 0; n < STATE_COUNT; n++)
    shared.a[n][lane] = s.a[(long long)unit.own * STATE_COUNT + n] * decay_unit();
  keep_states(s, unit, shared, bias, d.entries ? d.entries + own * STATE_COUNT : nullptr, states);
#pragma unroll 1
  for (int n = 0; n < STATE_COUNT; n++) {
    shared.carry[n][lane] = d.returns && present ? d.returns[own * STATE_COUNT + n] : 0;
    shared.da[n][lane] = 0;
  }
  real dskip = 0, dbias = 0;
  const Reader<READS_U | READS_DY | READS_B | READS_C> reader{s, d.y, unit, shared};
  const int end = unit.first + (unit.end - unit.first - 1) / TILE * TILE;
  const real *kept = states + (long long)((unit.end - 1 - unit.first) / CHUNK) * (STATE_COUNT * 32);
  real following[PART];
#pragma unroll
  for (int p = 0; p < PART; p++) following[p] = kept[p * 32];
#pragma unroll 1
  for (int first = end; first >= unit.first; first -= TILE) {
    const int rest = unit.end - first;
    reader.read(first);
#pragma unroll 1
    for (int chunk = min(CHUNKS, (rest + CHUNK - 1) / CHUNK) - 1; chunk >= 0; chunk--) {
      const int at = lane * row_pitch<element>(TILE) + chunk * CHUNK, index = (first + chunk * CHUNK) / CHUNK;
      real step[CHUNK], input[CHUNK], u[CHUNK], g[CHUNK], through[CHUNK], rate[CHUNK], y[CHUNK];
      steps_of(shared.delta + at, shared.u + at, bias, rest - chunk * CHUNK, step, input, u);
      load_chunk(shared.dy + lane * row_pitch<real>(TILE) + chunk * CHUNK, g);
#if GATE
      pass_gate(shared.z + at, g);
#endif
#pragma unroll
      for (int t = 0; t < CHUNK; t++) {
        if (!present || chunk * CHUNK + t >= rest) g[t] = 0;
        dskip = multiply_add(g[t], u[t], dskip);
        through[t] = rate[t] = y[t] = 0;
      }
#pragma unroll 1
      for (int part = 0; part < PARTS; part++) {
        const int n = part * PART;
        const int from = chunk * CHUNK * COEFFICIENT_PITCH + n / STATES * COEFFICIENT_TILE + n % STATES;
        real start[PART];
#pragma unroll
        for (int p = 0; p < PART; p++) start[p] = following[p];
        // The states that come after these in this order are on their way meanwhile.
        kept += part + 1 < PARTS ? PART * 32 : kept - n * 32 > states ? (PART - 2 * STATE_COUNT) * 32 : 0;
#pragma unroll
        for (int p = 0; p < PART; p++) following[p] = kept[p * 32];
        retrace(
            step, input, g, shared.b + from, shared.c + from, start, shared.a + n, shared.carry + n, shared.da + n,
            through, rate, y, sums + ((long long)index * PARTS + part) * SUMS);
      }
      load_chunk(shared.delta + at, input);
      load_chunk(shared.u + at, u);
#if GATE
      real dy[CHUNK], z[CHUNK];
      load_chunk(shared.dy + lane * row_pitch<real>(TILE) + chunk * CHUNK, dy);
      load_chunk(shared.z + at, z);
#pragma unroll
      for (int t = 0; t < CHUNK; t++) {
        const real open = sigmoid(z[t]);
        z[t] = dy[t] * multiply_add(skip, u[t], y[t]) * open * (1 + z[t] * (1 - open));
      }
      store_chunk(shared.z + at, z);
#endif
#pragma unroll
      for (int t = 0; t < CHUNK; t++) {
        real change = multiply_add(u[t], through[t], rate[t] * rate_unit());
        if (SOFTPLUS) change *= softplus_slope(input[t] + bias, step[t]);
        if (chunk * CHUNK + t >= rest) change = 0;
        dbias += change;
        input[t] = change;
        u[t] = multiply_add(step[t], through[t], skip * g[t]);
      }
      store_chunk(shared.delta + at, input);
      store_chunk(shared.u + at, u);
    }
    __syncwarp();
    write_rows<element, TILE>(shared.u, d.u, unit.at<element>(d.u), first, rest, unit.present);
    write_rows<element, TILE>(shared.delta, d.delta, unit.at<element>(d.delta), first, rest, unit.present);
#if GATE
    write_rows<element, TILE>(shared.z, d.z, unit.at<element>(d.z), first, rest, unit.present);
#endif
  }
  if (!present) return;
  d.d[own] = dskip;
  d.bias[own] = dbias;
#pragma unroll 1
  for (int n = 0; n < STATE_COUNT; n++) d.a[own * STATE_COUNT + n] = shared.da[n][lane];
}

// What each part of the positions hands to the part before it, [splits, B, D, N], if nothing enters from the one after.
KERNEL __launch_bounds__(WARPS * 32, BLOCKS) selective_scan_returns(Scan s, Rows dy, real *returns) {
  SHARED_MEMORY(Shared, all);
  Shared &shared = all[threadIdx.x / 32];
  const Unit unit(s);
  if (!unit.there) return;
  const int lane = unit.lane;
  const real bias = s.bias ? s.bias[unit.own] : 0;
  const long long own = ((long long)unit.split * s.batch + unit.batch) * s.channels + unit.own;
#pragma unroll 1
  for (int n = 0; n < STATE_COUNT; n++) {
    shared.a[n][lane] = s.a[(long long)unit.own * STATE_COUNT + n] * decay_unit();
    shared.carry[n][lane] = 0;
  }
  const Reader<READS_DY | READS_C> reader{s, dy, unit, shared};
  const int end = unit.first + (unit.end - unit.first - 1) / TILE * TILE;
#pragma unroll 1
  for (int first = end; first >= unit.first; first -= TILE) {
    const int rest = unit.end - first;
    reader.read(first);
#pragma unroll 1
    for (int chunk = min(CHUNKS, (rest + CHUNK - 1) / CHUNK) - 1; chunk >= 0; chunk--) {
      const int at = lane * row_pitch<element>(TILE) + chunk * CHUNK;
      real step[CHUNK], unused[CHUNK], g[CHUNK];
      steps_of(shared.delta + at, shared.delta + at, bias, rest - chunk * CHUNK, step, unused, unused);
      load_chunk(shared.dy + lane * row_pitch<real>(TILE) + chunk * CHUNK, g);
#if GATE
      pass_gate(shared.z + at, g);
#endif
#pragma unroll
      for (int t = 0; t < CHUNK; t++)
        if (chunk * CHUNK + t >= rest) g[t] = 0;
#pragma unroll 1
      for (int n = 0; n < STATE_COUNT; n += PART) {
        const real *c = shared.c + chunk * CHUNK * COEFFICIENT_PITCH + n / STATES * COEFFICIENT_TILE + n % STATES;
#pragma unroll
        for (int p = 0; p < PART; p++) {
          const real a = shared.a[n + p][lane];
          real carry = shared.carry[n + p][lane];
#pragma unroll
          for (int t = CHUNK - 1; t >= 0; t--)
            carry = decay(step[t] * a) * multiply_add(g[t], c[t * COEFFICIENT_PITCH + p], carry);
          shared.carry[n + p][lane] = carry;
        }
      }
    }
  }
  if (lane >= unit.present) return;
#pragma unroll 1
  for (int n = 0; n < STATE_COUNT; n++) returns[own * STATE_COUNT + n] = shared.carry[n][lane];
}

// The gradients of B and C: the warps' sums of each group, in the order of channels.
KERNEL selective_scan_coefficients(Scan s, const real *sums, Coefficients db, Coefficients dc) {
  const long long row = (long long)((s.length + CHUNK - 1) / CHUNK) * (PARTS * SUMS);
  const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= row * s.groups * s.batch) return;
  const long long owner = i / row, at = i % row;
  const int sum = (int)(at % SUMS), n = (int)(at / SUMS % PARTS) * PART + sum / 2 % PART;
  const long long t = at / (PARTS * SUMS) * CHUNK + sum / (2 * PART);
  if (t >= s.length) return;
  real total = 0;
  for (int warp = 0; warp < s.warps; warp++) total += sums[(owner * s.warps + warp) * row + at];
  const Coefficients &to = sum % 2 ? dc : db;
  ((element *)to.data)[owner / s.groups * to.batch + owner % s.groups * to.group + n * to.state + t * to.position] =
      to_element(total);
}
