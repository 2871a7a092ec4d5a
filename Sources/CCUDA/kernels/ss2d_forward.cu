// The 2-D selective scan in four directions with one state a channel, in one pass over a map that lies channels last.
//
// A tile is one image and 8 channels: x lies in shared memory beside the sum y of the directions, so both cross
// global memory once. A ring of WARPS warps walks the plane in each direction. A chunk, the work of a warp, is 8
// lines of ITEMS positions that follow each other on the path; lane 4 g + q owns line `line(g)` of channels 2q and 2q
// + 1. The warp scans its chunk as if nothing came before it, takes the state before the chunk from the ring's
// previous warp, passes on the state after it, and adds the chunk's share to y. Only this short hand-over is
// sequential, so the warps drift apart and the special function unit of one is busy while another moves memory.
//
// ELEMENT is 1 or 2. RANK is even. OUTPUT 0 writes float, else elements. WRAP 0 promises that ITEMS divides both
// sides. RINGS > 1, rings of one warp that share nothing, serves small planes. BUFFERS 2 loads the next tile's x
// meanwhile, and PREFETCH the next chunk's projections, where registers are left. ORDER is how lines lie on the
// lanes. PRODUCTS of four positions take the logarithm of the softplus by products. BLOCKS share a multiprocessor.
#include "prelude.cuh"
#include "ss2d_tile.cuh"

constexpr int half = (ITEMS + 1) / 2;

struct Arguments {
  const element *x, *projection;
  const float *weight, *bias, *a, *d;
  void *y;
  int channels, height, width;
  int pitch;  // pixels from one row of the plane in shared memory to the next
  int length, chunks, tiles;
  float per_height, per_width;  // 1 / height, 1 / width
  int x_pixel, y_pixel;  // elements from one pixel to the next
  long long x_image, projection_image, y_image;
};


// A lane's line: where it begins on the path's rows or columns, in one register.
struct Line {
  unsigned begin;  // 2^16 row + column, of the path's rows
  int inside;      // positions of the line inside the plane
  DEVICE Line() {}
  DEVICE Line(const Arguments &g, Direction k, int chunk, int line) {
    const int first = (chunk * 8 + line) * ITEMS;
    inside = g.length - first;
    const int forward = inside > 0 ? first : 0, s = k.reverse ? g.length - 1 - forward : forward;
    const int outer = quotient(s, k.column ? g.per_height : g.per_width);
    begin = outer << 16 | (s - outer * (k.column ? g.height : g.width));
  }
  DEVICE int outer() const { return (int)(begin >> 16); }
  DEVICE int place() const { return (int)(begin & 0xffffu); }
  // The same line: offsets made of it are not those that are at hand already, which would stay in registers until then.
  DEVICE Line anew() const {
    Line line = *this;
    line.begin = (unsigned)unknown((int)begin);
    return line;
  }
#if WRAP
  DEVICE bool has(int j) const { return j < inside; }
#else
  DEVICE bool has(int) const { return true; }  // of a line that has any
#endif
};

// The line's positions as offsets into an array of `scale` units a pixel and `pitch` pixels a row. A line outside the
// plane stays at its first position.
struct Walk {
  int at, step;
#if WRAP
  int left, inner, jump, inside;
#endif
  DEVICE Walk(const Arguments &g, Direction k, const Line &line, int pitch, int scale) {
    const int along = (k.column ? pitch : 1) * scale, across = (k.column ? 1 : pitch) * scale;
    at = line.outer() * across + line.place() * along;
    step = line.inside <= 0 ? 0 : k.reverse ? -along : along;
#if WRAP
    inner = k.column ? g.height : g.width;
    left = k.reverse ? line.place() + 1 : inner - line.place();
    jump = k.reverse ? inner * along - across : across - inner * along;
    inside = line.inside;
#endif
  }
  DEVICE int next() {
    const int now = at;
#if WRAP
    if (--inside > 0) {
      at += step;
      if (--left == 0) {
        at += jump;
        left = inner;
      }
    }
#else
    at += step;
#endif
    return now;
  }
};

// Lines lie on the lanes so that, with the pitch, they stay off each other's banks: bit i of a line's number is bit
// `bit_of(i)` of its group's, the lane / 4.
DEVICE constexpr int bit_of(int i) { return ORDER == 0 ? i : ORDER == 1 ? i * 2 % 3 : (i + 2) % 3; }
DEVICE int line_of(int group) {
  return (group >> bit_of(0) & 1) | (group >> bit_of(1) & 1) << 1 | (group >> bit_of(2) & 1) << 2;
}
DEVICE int group_of(int line) {
  return (line & 1) << bit_of(0) | (line >> 1 & 1) << bit_of(1) | (line >> 2 & 1) << bit_of(2);
}

struct Lane {
  int number, q, line, warp;
  int before;  // the lane of the line before
};

struct Tile {
  int image, channel;
  DEVICE Tile(const Arguments &g, int number) {
    const int columns = g.channels / 8;
    image = number / columns;
    channel = (number - image * columns) * 8;
  }
};

DEVICE void ring_barrier() {
  if (WARPS > 1) __syncthreads(); else __syncwarp();
}

typedef unsigned Words[ITEMS][steps];

DEVICE void fetch(
    Words &words, const Arguments &g, const Lane &n, int image, Direction k, const Line &line) {
  Walk walk(g, k, line, g.width, 2 * row_size);
  const unsigned *rows = (const unsigned *)(g.projection + image * g.projection_image + k.index() * row_size);
#pragma unroll
  for (int j = 0; j < ITEMS; j++) {
    const unsigned *row = rows + walk.next();
#pragma unroll
    for (int s = 0; s < fours; s += 4) {
      const uint4 v = __ldg((const uint4 *)(row + s * 4) + n.q);
      words[j][s] = v.x; words[j][s + 1] = v.y; words[j][s + 2] = v.z; words[j][s + 3] = v.w;
    }
    if constexpr (steps % 4 >= 2) {
      const uint2 v = __ldg((const uint2 *)(row + fours * 4) + n.q);
      words[j][fours] = v.x; words[j][fours + 1] = v.y;
    }
    if constexpr (steps % 2 == 1) words[j][steps - 1] = __ldg(row + (steps - 1) * 4 + n.q);
  }
}

// One direction's parameters as a lane needs them, in base 2. The weights are split in two elements each, so that the
// tensor core multiplies them exactly.
struct Coefficients {
  unsigned high[steps], low[steps];
  float bias[2], a[2];
  DEVICE void read(const Parameters &all, const Lane &n, int turn) {
    const int k = Direction(turn).index();
#pragma unroll
    for (int i = 0; i < 2; i++) {
      bias[i] = all.bias[k][2 * n.q + i] * log2_e;
      a[i] = all.a[k][2 * n.q + i];
    }
#pragma unroll
    for (int s = 0; s < steps; s++) {
      const int r = 2 * word_of(n.q, s);
      float2 w = make_float2(0.f, 0.f);
      if (r < RANK) w = *(const float2 *)&all.weight[k][n.number >> 2][r];
      w.x *= log2_e; w.y *= log2_e;
      high[s] = pack(w.x, w.y);
      const float2 rounded = unpack(high[s]);
      low[s] = pack(w.x - rounded.x, w.y - rounded.y);
    }
  }
};

// log2(1 + 2^z). Unguarded, infinite where the sum overflows.
template <bool GUARDED>
DEVICE float softplus(float z) {
  const float s = fast_log2(1.f + fast_exp2(GUARDED ? min(z, 126.f) : z));
  return GUARDED ? max(z, s) : s;
}
// The same with products in place of the logarithm, to 8e-6: some of the positions take this way, so that neither the
// special function unit nor the multipliers wait for the other.
DEVICE float softplus_by_products(float z) {
  const float t = fast_exp2(-fabsf(z));
  // Minimax for log2(1 + t) / t on [0, 1].
  float p = fmaf(t, -0.0344359055f, 0.1460328847f);
  p = fmaf(p, t, -0.3030362129f);
  p = fmaf(p, t, 0.4691740572f);
  p = fmaf(p, t, -0.7204261422f);
  p = fmaf(p, t, 1.4426828623f);
  return fmaf(p, t, max(z, 0.f));
}

// A chunk's scan as if the state before it were 0: at each item the state, and the factor that a state before the
// chunk's line would have kept.
struct Chunk {
  float kept[ITEMS][2], state[ITEMS][2];
  unsigned gates[ITEMS];  // B and C
  float2 line_kept, line_state;  // over all lines up to this one
};

// Whether every state is finite. Once one is not, none after it is, so the last ones tell.
template <bool GUARDED>
DEVICE bool scan_lines(
    Chunk &chunk, const Coefficients &c, const Lane &n, const char *x, const Words &words, Walk walk) {
#pragma unroll
  for (int m = 0; m < half; m++) {
    const int other = m + half < ITEMS ? m + half : m;
    float z[4];
    multiply_16x8x8(z, words[m][0], words[other][0], c.high[0], c.bias[0], c.bias[1]);
    multiply_16x8x8(z, words[m][0], words[other][0], c.low[0]);
#pragma unroll
    for (int s = 1; s < steps; s++) {
      multiply_16x8x8(z, words[m][s], words[other][s], c.high[s]);
      multiply_16x8x8(z, words[m][s], words[other][s], c.low[s]);
    }
    chunk.kept[m][0] = z[0]; chunk.kept[m][1] = z[1];
    if (other != m) { chunk.kept[other][0] = z[2]; chunk.kept[other][1] = z[3]; }
  }
#pragma unroll
  for (int j = 0; j < ITEMS; j++) {
    chunk.gates[j] = __shfl_sync(~0u, words[j][gate_step()], (n.number & ~3) | gate_lane());
  }
  float2 state = make_float2(0.f, 0.f), kept = make_float2(1.f, 1.f);
#pragma unroll
  for (int j = 0; j < ITEMS; j++) {
    const float2 u = unpack(*(const unsigned *)(x + walk.next()));
    const float b = unpack(chunk.gates[j]).x;
    const float z0 = chunk.kept[j][0], z1 = chunk.kept[j][1];
    const bool by_products = j % 4 < PRODUCTS;
    const float s0 = by_products ? softplus_by_products(z0) : softplus<GUARDED>(z0);
    const float s1 = by_products ? softplus_by_products(z1) : softplus<GUARDED>(z1);
    const float d0 = fast_exp2(c.a[0] * s0), d1 = fast_exp2(c.a[1] * s1);
    state.x = fmaf(d0, state.x, s0 * (b * u.x));
    state.y = fmaf(d1, state.y, s1 * (b * u.y));
    kept.x *= d0; kept.y *= d1;
    chunk.state[j][0] = state.x; chunk.state[j][1] = state.y;
    chunk.kept[j][0] = kept.x; chunk.kept[j][1] = kept.y;
  }
  chunk.line_kept = kept;
  chunk.line_state = state;
  return fabsf(state.x) + fabsf(state.y) < 3e38f;
}

// Every line takes up those before it. In step i, lines whose bit i is set follow the last line with it clear.
DEVICE void scan_over_lines(Chunk &chunk, const Lane &n) {
  float2 state = chunk.line_state, kept = chunk.line_kept;
#pragma unroll
  for (int i = 0; i < 3; i++) {
    const int bit = 4 << bit_of(i), lower = group_of((1 << i) - 1) * 4, from = (n.number & ~bit) | lower;
    const float k0 = __shfl_sync(~0u, kept.x, from), k1 = __shfl_sync(~0u, kept.y, from);
    const float h0 = __shfl_sync(~0u, state.x, from), h1 = __shfl_sync(~0u, state.y, from);
    if (n.number & bit) {
      state.x = fmaf(kept.x, h0, state.x); state.y = fmaf(kept.y, h1, state.y);
      kept.x *= k0; kept.y *= k1;
    }
  }
  chunk.line_kept = kept;
  chunk.line_state = state;
}

// The state before this lane's line. `slots` [WARPS][4] holds what each warp of the ring passes on; barrier 1 + w is
// that of warp w and its successor, who has read the slot before the ring comes back to w.
DEVICE float2 pass_on(const Chunk &chunk, const Lane &n, float2 *slots, float2 &carry, int number, int chunks) {
  float2 before = carry;
  if (WARPS > 1) {
    const int previous = n.warp ? n.warp - 1 : WARPS - 1;
    before = make_float2(0.f, 0.f);
    if (number > 0) {
      named_barrier(1 + previous, 64);
      before = slots[previous * 4 + n.q];
    }
  }
  const float2 after = make_float2(
      fmaf(chunk.line_kept.x, before.x, chunk.line_state.x), fmaf(chunk.line_kept.y, before.y, chunk.line_state.y));
  if (WARPS > 1) {
    if (number + 1 < chunks) {
      if (n.number >= 28) slots[n.warp * 4 + n.q] = after;
      named_arrive(1 + n.warp, 64);
    }
  } else {
    const int last = 28 + n.q;
    carry = make_float2(__shfl_sync(~0u, after.x, last), __shfl_sync(~0u, after.y, last));
  }
  const float e0 = __shfl_sync(~0u, after.x, n.before), e1 = __shfl_sync(~0u, after.y, n.before);
  return n.line ? make_float2(e0, e1) : before;
}

// Before a warp's first addition to y in a turn. What the turn before added, anywhere, is there for whoever has the
// state before its chunk, for the warp of the first chunk has waited until every other one was done; only that warp
// waits, so the others keep their distances in time. By the same way x of the next tile, here by turn 2, is there for
// all after turn 3.
DEVICE void enter(int turn, int chunk, bool begun) {
  if (turn == 2) copy_async_wait<0>();
  if (WARPS == 1) {
    __syncwarp();
  } else if (chunk == 0 && (turn > 0 || begun)) {
    named_barrier(0, WARPS * 32);
  }
}

// What item j adds to y: C (state + kept before).
DEVICE float2 add_item(const Chunk &chunk, int j, float2 before, float2 sum) {
  const float c = unpack(chunk.gates[j]).y;
  return make_float2(
      fmaf(c, fmaf(chunk.kept[j][0], before.x, chunk.state[j][0]), sum.x),
      fmaf(c, fmaf(chunk.kept[j][1], before.y, chunk.state[j][1]), sum.y));
}

template <bool FIRST>
DEVICE void add_chunk(const Chunk &chunk, char *y, const Line &line, Walk walk, float2 before) {
  if (line.inside <= 0) return;
#pragma unroll
  for (int j = 0; j < ITEMS; j++) {
    float2 *const at = (float2 *)(y + walk.next());
    const float2 sum = add_item(chunk, j, before, FIRST ? make_float2(0.f, 0.f) : *at);
    if (line.has(j)) *at = sum;
  }
}

#if OUTPUT
typedef element_pair output_pair;
DEVICE output_pair to_output(float2 v) { return pack(v.x, v.y); }
#else
typedef float2 output_pair;
DEVICE output_pair to_output(float2 v) { return v; }
#endif

// The last direction adds nothing to shared memory: it writes the output.
DEVICE void write_chunk(
    const Chunk &chunk, const char *x, const char *y, const Line &line, Walk walk, Walk target, float2 before,
    float2 skip, output_pair *out) {
  if (line.inside <= 0) return;
#pragma unroll
  for (int j = 0; j < ITEMS; j++) {
    const int at = walk.next();
    const float2 u = unpack(*(const unsigned *)(x + at));
    const float2 sum = add_item(chunk, j, before, *(const float2 *)(y + 2 * at));
    output_pair *const to = out + target.next();
    if (line.has(j)) *to = to_output(make_float2(fmaf(ln_2, sum.x, skip.x * u.x), fmaf(ln_2, sum.y, skip.y * u.y)));
  }
}

DEVICE void load_tile(const Arguments &g, int number, int thread, char *x, Parameters &parameters) {
  const Tile tile(g, number);
  const element *from = g.x + tile.image * g.x_image + tile.channel;
  for (int i = thread; i < g.length; i += WARPS * 32) {
    const int row = quotient(i, g.per_width);
    copy_async_16(x + (row * (g.pitch - g.width) + i) * 16, from + (long long)i * g.x_pixel);
  }
  load_parameters(g, tile.channel, thread, WARPS * 32, parameters);
  copy_async_commit();
}

KERNEL __launch_bounds__(RINGS * WARPS * 32, BLOCKS) ss2d_forward(Arguments g) {
  Lane n;
  const int ring = (int)threadIdx.x / (WARPS * 32), thread = (int)threadIdx.x - ring * (WARPS * 32);
  n.number = thread & 31;
  n.q = n.number & 3;
  n.warp = thread >> 5;
  n.line = line_of(n.number >> 2);
  n.before = group_of(n.line ? n.line - 1 : 0) * 4 + n.q;

  SHARED_MEMORY(char, memory);
  const int plane = g.height * g.pitch * 16;
  char *const own = memory + ring * ((2 + BUFFERS) * plane + BUFFERS * (int)sizeof(Parameters) + WARPS * 32);
  char *const y = own, *const buffers = own + 2 * plane;
  Parameters *const parameters = (Parameters *)(own + (2 + BUFFERS) * plane);
  float2 *const slots = (float2 *)(parameters + BUFFERS);

  int number = (int)blockIdx.x * RINGS + ring, buffer = 0, j = n.warp;
  if (number >= g.tiles) return;
  load_tile(g, number, thread, buffers, parameters[0]);
  Words words;
  Line ahead(g, Direction(0), j, n.line);
  if (PREFETCH) fetch(words, g, n, Tile(g, number).image, Direction(0), ahead);
  copy_async_wait<0>();
  ring_barrier();
  bool begun = false;
  while (true) {
    const Tile tile(g, number);
    const int following = number + (int)gridDim.x * RINGS;
    const bool more = BUFFERS == 2 && following < g.tiles;
    const int following_image = more ? Tile(g, following).image : 0;
    const char *const x = buffers + buffer * plane;
    const Parameters &own_parameters = parameters[buffer];
#pragma unroll 1
    for (int turn = 0; turn < 4; turn++) {
      const Direction k(turn);
      Coefficients c;
      c.read(own_parameters, n, turn);
      float2 carry = make_float2(0.f, 0.f);
#pragma unroll 1
      for (; j < g.chunks; j += WARPS) {
        const Line line = PREFETCH ? ahead : Line(g, k, j, n.line);
        if (!PREFETCH) fetch(words, g, n, tile.image, k, line);
        const Walk walk(g, k, line, g.pitch, 16);
        Chunk chunk;
        if (__any_sync(~0u, !scan_lines<false>(chunk, c, n, x + 4 * n.q, words, walk))) {
          const Line again = line.anew();
          fetch(words, g, n, tile.image, k, again);
          scan_lines<true>(chunk, c, n, x + 4 * n.q, words, Walk(g, k, again, unknown(g.pitch), 16));
        }
        const bool same = j + WARPS < g.chunks;
        if (PREFETCH && (same || turn < 3 || more)) {
          const Direction then(same ? turn : turn + 1 & 3);
          ahead = Line(g, then, same ? j + WARPS : j + WARPS - g.chunks, n.line);
          fetch(words, g, n, same || turn < 3 ? tile.image : following_image, then, ahead);
        }
        scan_over_lines(chunk, n);
        if (j < WARPS) enter(turn, j, begun);
        const float2 before = pass_on(chunk, n, slots, carry, j, g.chunks);
        if (turn == 0 && j < WARPS && more) {
          load_tile(g, following, thread, buffers + (buffer ^ 1) * plane, parameters[buffer ^ 1]);
        }
        const Line again = line.anew();
        const Walk doubled(g, k, again, unknown(g.pitch), 32);
        if (turn == 0) {
          add_chunk<true>(chunk, y + 8 * n.q, line, doubled, before);
        } else if (turn < 3) {
          add_chunk<false>(chunk, y + 8 * n.q, line, doubled, before);
        } else {
          float2 skip = make_float2(0.f, 0.f);
#pragma unroll
          for (int i = 0; i < 4; i++) {
            skip.x += own_parameters.d[i][2 * n.q];
            skip.y += own_parameters.d[i][2 * n.q + 1];
          }
          constexpr int bytes = OUTPUT ? 2 : 4;
          const Walk target(g, k, line, g.width, g.y_pixel / 2);
          char *const out = (char *)g.y + (tile.image * g.y_image + tile.channel + 2 * n.q) * bytes;
          const Walk single(g, k, again, unknown(g.pitch), 16);
          write_chunk(
              chunk, x + 4 * n.q, y + 8 * n.q, line, single, target, before, skip, (output_pair *)out);
        }
      }
      j -= g.chunks;
      if (WARPS > 1 && j > 0 && (turn < 3 || more)) named_arrive(0, WARPS * 32);
    }
    if (!more) break;
    number = following;
    buffer ^= 1;
    begun = true;
  }
}
