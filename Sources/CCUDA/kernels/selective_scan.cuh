// What both directions of the selective scan share. A lane owns a channel and walks along the positions with the states
// in its registers, so a scan costs no more than its recurrence and nothing crosses lanes. A warp takes 32 channels of
// one group; tensors pass through shared memory in tiles [32 channels][TILE positions], in which a lane reads its row.
//
// Macros: ELEMENT; STATES, the states kept in registers, and SLICES of them make N; TILE, 8, 16, 32 or 64; SOFTPLUS and
// GATE (z is there), 0 or 1; WARPS of a block, BLOCKS of a multiprocessor at least; WHOLE, 1 where all [B, D, L] are
// ALIGNED_POSITIONS and L is a multiple of TILE.
#include "prelude.cuh"

#define CHUNK 8
#define CHUNKS (TILE / CHUNK)
#if TILE > 32 && !WHOLE
#error "a tile of more than 32 positions is for whole tiles"
#endif
#define LOG2E 1.4426950408889634
#define LN2 0.6931471805599453

// How a tensor's positions and channels lie.
enum Layout {
  ALIGNED_POSITIONS = 0,  // positions follow one another, and every channel's start is aligned to 16 bytes
  POSITIONS = 1,          // positions follow one another
  CHANNELS = 2            // anything else; best if channels follow one another
};

// [B, D, L]; strides in elements.
struct Rows {
  void *data;
  long long batch;
  int channel, position, layout;
};

// [B, G, N, L].
struct Coefficients {
  void *data;
  long long batch, group;
  int state, position;
};

struct Scan {
  Rows u, delta, z;
  Coefficients b, c;
  const real *a, *d, *bias;  // d and bias may be null
  int batch, channels, groups, length;
  int warps;         // of a group's channels
  int splits, span;  // parts of the positions that are scanned on their own, and positions in each, a multiple of TILE
};

// ---- arithmetic

#if ELEMENT == 3
DEVICE double decay(double exponent) { return exp(exponent); }
DEVICE double decay_unit() { return 1.; }
DEVICE double rate_unit() { return 1.; }
DEVICE double softplus(double x) { return x > 20. ? x : log1p(exp(x)); }
DEVICE double sigmoid(double x) { return 1. / (1. + exp(-x)); }
// The derivative of softplus at x, where its value is y.
DEVICE double softplus_slope(double x, double y) { return x > 20. ? 1. : -expm1(-y); }
#else
// Decays are powers of two: A is scaled once, by `decay_unit`; `rate_unit` is its inverse.
DEVICE float decay(float exponent) { return fast_exp2(exponent); }
DEVICE float decay_unit() { return (float)LOG2E; }
DEVICE float rate_unit() { return (float)LN2; }
DEVICE float sigmoid(float x) { return fast_reciprocal(1.f + fast_exp2(x * -(float)LOG2E)); }
#if ELEMENT == 0
DEVICE float softplus(float x) {
  const float power = fast_exp2(x * (float)LOG2E);
  return x > 20.f ? x : log1pf(power);
}
#else
// Never less than x; where the power would be infinite x it is.
DEVICE float softplus(float x) {
  return max(x, fast_log2(1.f + fast_exp2(min(x * (float)LOG2E, 126.f))) * (float)LN2);
}
#endif
#if ELEMENT == 0
DEVICE float softplus_slope(float x, float) { return sigmoid(x); }
#else
DEVICE float softplus_slope(float, float y) { return 1.f - fast_exp2(y * -(float)LOG2E); }
#endif
#endif

DEVICE real multiply_add(real a, real b, real c) {
#if ELEMENT == 3
  return fma(a, b, c);
#else
  return fmaf(a, b, c);
#endif
}

// ---- pieces of 16 bytes

DEVICE void load_chunk(const float *from, float (&to)[CHUNK]) {
#pragma unroll
  for (int i = 0; i < CHUNK; i += 4) {
    const float4 v = *(const float4 *)(from + i);
    to[i] = v.x, to[i + 1] = v.y, to[i + 2] = v.z, to[i + 3] = v.w;
  }
}
DEVICE void store_chunk(float *to, const float (&from)[CHUNK]) {
#pragma unroll
  for (int i = 0; i < CHUNK; i += 4) *(float4 *)(to + i) = make_float4(from[i], from[i + 1], from[i + 2], from[i + 3]);
}
#if ELEMENT == 3
DEVICE void load_chunk(const double *from, double (&to)[CHUNK]) {
#pragma unroll
  for (int i = 0; i < CHUNK; i += 2) {
    const double2 v = *(const double2 *)(from + i);
    to[i] = v.x, to[i + 1] = v.y;
  }
}
DEVICE void store_chunk(double *to, const double (&from)[CHUNK]) {
#pragma unroll
  for (int i = 0; i < CHUNK; i += 2) *(double2 *)(to + i) = make_double2(from[i], from[i + 1]);
}
#elif ELEMENT != 0
DEVICE void load_chunk(const element *from, element (&to)[CHUNK]) {
  const uint4 v = *(const uint4 *)from;
  const unsigned words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
  for (int i = 0; i < 4; i++) to[2 * i] = (element)(words[i] & 0xffffu), to[2 * i + 1] = (element)(words[i] >> 16);
}
DEVICE void store_chunk(element *to, const element (&from)[CHUNK]) {
  unsigned words[4];
#pragma unroll
  for (int i = 0; i < 4; i++) words[i] = from[2 * i] | (unsigned)from[2 * i + 1] << 16;
  *(uint4 *)to = make_uint4(words[0], words[1], words[2], words[3]);
}
DEVICE void load_chunk(const element *from, float (&to)[CHUNK]) {
  const uint4 v = *(const uint4 *)from;
  const unsigned words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const float2 pair = unpack(words[i]);
    to[2 * i] = pair.x, to[2 * i + 1] = pair.y;
  }
}
DEVICE void store_chunk(element *to, const float (&from)[CHUNK]) {
  *(uint4 *)to =
      make_uint4(pack(from[0], from[1]), pack(from[2], from[3]), pack(from[4], from[5]), pack(from[6], from[7]));
}
#endif

struct Four {
  real v[4];
};
DEVICE Four load_four(const real *from) {
  Four out;
#if ELEMENT == 3
  const double2 low = *(const double2 *)from, high = *(const double2 *)(from + 2);
  out.v[0] = low.x, out.v[1] = low.y, out.v[2] = high.x, out.v[3] = high.y;
#else
  const float4 v = *(const float4 *)from;
  out.v[0] = v.x, out.v[1] = v.y, out.v[2] = v.z, out.v[3] = v.w;
#endif
  return out;
}

// ---- tiles

// A row of a tile of T; 16 bytes more than its elements, so that the lanes' reads of 16 bytes meet in no bank.
template <class T>
DEVICE constexpr int row_pitch(int width) { return width + 16 / (int)sizeof(T); }

// Addresses below are stepped rather than computed from indices: all the offsets would be kept in registers.

// Whether a tile is copied while the warp computes.
template <int WIDTH>
DEVICE bool asynchronous(const Rows &rows, int rest) {
  return WHOLE || (rows.layout == ALIGNED_POSITIONS && rest >= WIDTH);
}

// A tile is positions [first, first + WIDTH) of 32 channels at `from`; past `rest` positions or `present` channels it
// repeats the last. It is copied by `copy_rows`, to be followed by copy_async_commit, or else by `fetch_rows` and
// `put_rows`, so that the loads of several tiles are under way at once.
template <class T, int WIDTH>
DEVICE void copy_rows(T *tile, const Rows &rows, const T *from, int first, int rest, int present) {
  constexpr int PITCH = row_pitch<T>(WIDTH), PIECE = 16 / sizeof(T), PIECES = WIDTH / PIECE;
  const int lane = threadIdx.x % 32;
  if (!asynchronous<WIDTH>(rows, rest)) return;
  constexpr int STEP = 32 / PIECES;
  const int row = lane / PIECES;
  from += first + lane % PIECES * PIECE + (long long)min(row, present - 1) * rows.channel;
  tile += row * PITCH + lane % PIECES * PIECE;
#pragma unroll
  for (int i = 0; i < PIECES; i++) {
    copy_async_16(tile + i * STEP * PITCH, from);
    from += row + (i + 1) * STEP < present ? STEP * rows.channel : 0;
  }
}

template <class T, int WIDTH>
DEVICE void fetch_rows(T (&v)[WIDTH], const Rows &rows, const T *from, int first, int rest, int present) {
  const int lane = threadIdx.x % 32;
  if (asynchronous<WIDTH>(rows, rest)) return;
  if (rows.layout != CHANNELS) {
    constexpr int STEP = 32 / WIDTH;
    const int row = lane / WIDTH;
    from += first + min(lane % WIDTH, rest - 1) + (long long)min(row, present - 1) * rows.channel;
#pragma unroll
    for (int i = 0; i < WIDTH; i++) {
      v[i] = *from;
      from += row + (i + 1) * STEP < present ? STEP * rows.channel : 0;
    }
  } else {
    from += (long long)min(lane, present - 1) * rows.channel + (long long)first * rows.position;
#pragma unroll
    for (int i = 0; i < WIDTH; i++) {
      v[i] = *from;
      from += i + 1 < rest ? rows.position : 0;
    }
  }
}

template <class T, int WIDTH>
DEVICE void put_rows(T *tile, const T (&v)[WIDTH], const Rows &rows, int rest) {
  constexpr int PITCH = row_pitch<T>(WIDTH);
  const int lane = threadIdx.x % 32;
  if (asynchronous<WIDTH>(rows, rest)) return;
  if (rows.layout != CHANNELS) {
    constexpr int STEP = 32 / WIDTH;
    tile += lane / WIDTH * PITCH + lane % WIDTH;
#pragma unroll
    for (int i = 0; i < WIDTH; i++) tile[i * STEP * PITCH] = v[i];
  } else {
#pragma unroll
    for (int t = 0; t < WIDTH; t += CHUNK) {
      T chunk[CHUNK];
#pragma unroll
      for (int i = 0; i < CHUNK; i++) chunk[i] = v[t + i];
      store_chunk(tile + lane * PITCH + t, chunk);
    }
  }
}

// Writes a tile's positions up to `rest` and channels up to `present`.
template <class T, int WIDTH>
DEVICE void write_rows(const T *tile, const Rows &rows, T *to, int first, int rest, int present) {
  constexpr int PITCH = row_pitch<T>(WIDTH), PIECE = 16 / sizeof(T), PIECES = WIDTH / PIECE;
  const int lane = threadIdx.x % 32;
  if (asynchronous<WIDTH>(rows, rest)) {
    constexpr int STEP = 32 / PIECES;
    const int row = lane / PIECES;
    tile += row * PITCH + lane % PIECES * PIECE;
    to += first + lane % PIECES * PIECE + (long long)row * rows.channel;
#pragma unroll
    for (int i = 0; i < PIECES; i++) {
      const uint4 piece = *(const uint4 *)(tile + i * STEP * PITCH);
      if (row + i * STEP < present) *(uint4 *)to = piece;
      to += STEP * rows.channel;
    }
  } else if (rows.layout != CHANNELS) {
    constexpr int STEP = 32 / WIDTH;
    const int row = lane / WIDTH, last = lane % WIDTH < rest ? present : 0;
    tile += row * PITCH + lane % WIDTH;
    to += first + lane % WIDTH + (long long)row * rows.channel;
#pragma unroll
    for (int i = 0; i < WIDTH; i++) {
      const T value = tile[i * STEP * PITCH];
      if (row + i * STEP < last) *to = value;
      to += STEP * rows.channel;
    }
  } else {
    const int last = lane < present ? rest : 0;
    to += (long long)lane * rows.channel + (long long)first * rows.position;
#pragma unroll
    for (int t = 0; t < WIDTH; t += CHUNK) {
      T chunk[CHUNK];
      load_chunk(tile + lane * PITCH + t, chunk);
#pragma unroll
      for (int i = 0; i < CHUNK; i++) {
        if (t + i < last) *to = chunk[i];
        to += rows.position;
      }
    }
  }
}

// Coefficients of a slice of states lie as numbers [TILE][COEFFICIENT_PITCH].
#define COEFFICIENT_PITCH (STATES % 4 == 0 && STATES >= 8 ? STATES + 4 : STATES)
#define COEFFICIENT_TILE ((TILE * COEFFICIENT_PITCH + 3) / 4 * 4)
// A lane's share of them.
#define POSITIONS_A_STEP (32 / STATES)
#define STATES_A_STEP (TILE < 32 ? 32 / TILE : 1)
#define LARGER(a, b) ((a) > (b) ? (a) : (b))
#define COEFFICIENTS \
  LARGER((TILE - 1) / POSITIONS_A_STEP + 1, TILE > 32 ? TILE / 32 * STATES : (STATES - 1) / STATES_A_STEP + 1)

// Where a lane's coefficients lie: the faster of states and positions goes along the lanes.
struct CoefficientWalk {
  int t, n;
  bool along;

  DEVICE explicit CoefficientWalk(const Coefficients &rows) {
    const int lane = threadIdx.x % 32;
    along = rows.state < rows.position;
    t = along ? lane / STATES : lane % TILE;
    n = along ? lane % STATES : lane / TILE;
  }
  DEVICE void advance() {
    if (along) {
      t += POSITIONS_A_STEP;
    } else if (TILE <= 32) {
      n += STATES_A_STEP;
    } else {
      t += 32;
      if (t >= TILE) t -= TILE, n++;
    }
  }
};

DEVICE void fetch_coefficients(
    element (&v)[COEFFICIENTS], const Coefficients &rows, const element *from, int first, int rest) {
  CoefficientWalk walk(rows);
  const int step = walk.along ? POSITIONS_A_STEP * rows.position : STATES_A_STEP * rows.state;
  from += (long long)first * rows.position;
  const element *at = nullptr;
#pragma unroll
  for (int i = 0; i < COEFFICIENTS; i++) {
    if (i == 0 || TILE > 32)
      at = from + (long long)min(walk.t, rest - 1) * rows.position + (long long)min(walk.n, STATES - 1) * rows.state;
    v[i] = *at;
    walk.advance();
    at += walk.t < rest && walk.n < STATES ? step : 0;
  }
}

DEVICE void put_coefficients(real *tile, const element (&v)[COEFFICIENTS], const Coefficients &rows) {
  CoefficientWalk walk(rows);
#pragma unroll
  for (int i = 0; i < COEFFICIENTS; i++) {
    if (walk.t < TILE && walk.n < STATES) tile[walk.t * COEFFICIENT_PITCH + walk.n] = to_real(v[i]);
    walk.advance();
  }
}

// Coefficients of all slices but the first, which the caller fetches and puts.
DEVICE void stage_more_coefficients(real *tile, const Coefficients &rows, const element *from, int first, int rest) {
#pragma unroll 1
  for (int slice = 1; slice < SLICES; slice++) {
    element v[COEFFICIENTS];
    fetch_coefficients(v, rows, from + (long long)slice * STATES * rows.state, first, rest);
    put_coefficients(tile + slice * COEFFICIENT_TILE, v, rows);
  }
}

// Steps of a chunk, what enters the states, both zero past `rest`, which leaves the states as they are, and u.
DEVICE void steps_of(
    const element *delta, const element *u, real bias, int rest, real (&step)[CHUNK], real (&input)[CHUNK],
    real (&x)[CHUNK]) {
  load_chunk(delta, step);
  load_chunk(u, x);
#pragma unroll
  for (int t = 0; t < CHUNK; t++) {
    step[t] += bias;
    if (SOFTPLUS) step[t] = softplus(step[t]);
    input[t] = step[t] * x[t];
    if (t >= rest) step[t] = input[t] = 0;
  }
}

#if GATE
// What the gate z lets through of a chunk: times silu(z).
DEVICE void pass_gate(const element *z, real (&values)[CHUNK]) {
  real gate[CHUNK];
  load_chunk(z, gate);
#pragma unroll
  for (int t = 0; t < CHUNK; t++) values[t] *= gate[t] * sigmoid(gate[t]);
}
#endif

// A chunk of the recurrence. `c` is not read unless OUTPUT.
template <bool OUTPUT>
DEVICE void advance(
    const real (&step)[CHUNK], const real (&input)[CHUNK], const real *b, const real *c, const real (&a)[STATES],
    real (&h)[STATES], real (&y)[CHUNK]) {
#pragma unroll
  for (int i = 0; i < CHUNK * STATES; i += 4) {
    // Rows of four states or more are read in fours; of fewer, fours run over the ends of rows.
    const int at = i / STATES * COEFFICIENT_PITCH + i % STATES;
    Four bs = load_four(b + at), cs = bs;
    if (OUTPUT) cs = load_four(c + at);
#pragma unroll
    for (int k = 0; k < 4; k++) {
      const int t = (i + k) / STATES, n = (i + k) % STATES;
      h[n] = multiply_add(decay(step[t] * a[n]), h[n], input[t] * bs.v[k]);
      if (OUTPUT) y[t] = multiply_add(cs.v[k], h[n], y[t]);
    }
  }
}

// Which part of the work a warp has.
struct Unit {
  int lane, split, batch, group, warp;
  int channel, present;  // the first channel, and how many
  int own;               // this lane's channel; the last present one in lanes past it
  int first, end;        // positions
  bool there;

  DEVICE explicit Unit(const Scan &s) {
    lane = threadIdx.x % 32;
    long long unit = (long long)blockIdx.x * WARPS + threadIdx.x / 32;
    split = (int)(unit % s.splits), unit /= s.splits;
    warp = (int)(unit % s.warps), unit /= s.warps;
    group = (int)(unit % s.groups), unit /= s.groups;
    there = unit < s.batch;
    batch = (int)unit;
    const int channels = s.channels / s.groups;
    channel = group * channels + warp * 32;
    present = min(32, channels - warp * 32);
    own = channel + min(lane, present - 1);
    first = split * s.span;
    end = min(s.length, first + s.span);
  }
  template <class T>
  DEVICE T *at(const Rows &rows) const {
    return (T *)rows.data + batch * rows.batch + (long long)channel * rows.channel;
  }
  DEVICE const element *at(const Coefficients &rows) const {
    return (const element *)rows.data + batch * rows.batch + group * rows.group;
  }
};
