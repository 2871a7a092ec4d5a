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
// meanwhile. With STAGED, the next chunk's rows of the projection come to shared memory meanwhile, with PREFETCH to
// registers, where some are left. ORDER is how lines lie on the lanes. BLOCKS share a multiprocessor.
//
// Registers are what there is least of: any that spill go through a first-level cache that shared memory has made too small
// for them, at a third of the time.
#include "prelude.cuh"
#include "ss2d_tile.cuh"

constexpr unsigned one = ELEMENT == 1 ? 0x3c00u : 0x3f80u;

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

// The lines of a path along rows or columns, as 2^16 row + column of that path: the same for every tile.
struct Lines {
  unsigned address;  // [2][8 chunks]
  DEVICE unsigned begin(const Arguments &g, bool column, int line) const {
    return load_shared(address + (line + (column ? 8 * g.chunks : 0)) * 4);
  }
};

DEVICE void list_lines(const Arguments &g, unsigned *lines) {
  for (int i = (int)threadIdx.x; i < 16 * g.chunks; i += RINGS * WARPS * 32) {
    const bool column = i >= 8 * g.chunks;
    const int first = (column ? i - 8 * g.chunks : i) * ITEMS, inner = column ? g.height : g.width;
    const int outer = first < g.length ? quotient(first, column ? g.per_height : g.per_width) : 0;
    lines[i] = first < g.length ? outer << 16 | (first - outer * inner) : 0;
  }
}

// A lane's line: where it begins on the path from the plane's first position, or from its last where it is reversed.
struct Line {
  unsigned begin;
  DEVICE Line() {}
  DEVICE Line(const Arguments &g, const Lines &lines, Direction k, int chunk, int line)
      : begin(lines.begin(g, k.column, chunk * 8 + line)) {}
  DEVICE int outer() const { return (int)(begin >> 16); }
  DEVICE int place() const { return (int)(begin & 0xffffu); }
  // The same line: offsets made of it are not those that are at hand already, which would stay in registers until then.
  DEVICE Line anew() const {
    Line line = *this;
    line.begin = (unsigned)unknown((int)begin);
    return line;
  }
};

// The line's positions as offsets into an array of `scale` units a pixel and `pitch` pixels a row. A line outside the plane
// walks along the plane's first line, or, where lines wrap, stays at the first position.
struct Walk {
  int at, step;
#if WRAP
  int left, inner, jump, inside;
#endif
  // `inside` positions are inside the plane.
  DEVICE Walk(
      const Arguments &g, Direction k, const Line &line, [[maybe_unused]] int inside, int pitch, int scale,
      int first = 0) {
    int along = (k.column ? pitch : 1) * scale, across = (k.column ? 1 : pitch) * scale;
    if (k.reverse) first += ((g.height - 1) * pitch + g.width - 1) * scale, along = -along, across = -across;
    at = first + line.outer() * across + line.place() * along;
    step = along;
#if WRAP
    inner = k.column ? g.height : g.width;
    left = inner - line.place();
    jump = across - inner * along;
    this->inside = inside;
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
  int brings;  // the line of which it brings rows to the stage
  int before;  // the lane of the line before
  // Operands of the tensor core that make numbers of elements: a row's own, or its B or C for every channel.
  unsigned same, b_column, c_column;
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

// A chunk's rows, from global memory.
DEVICE void fetch(
    Words &words, const Arguments &g, const Lane &n, const element *projection, Direction k, const Line &line,
    int inside) {
  Walk walk(g, k, line, inside, g.width, 2 * row_size);
  const unsigned *rows = (const unsigned *)(projection + k.index() * row_size);
#pragma unroll
  for (int j = 0; j < ITEMS; j++) {
#if WRAP
    const unsigned *row = rows + walk.next();
#else
    const unsigned *row = rows + walk.at + (long long)walk.step * j;
#endif
#if STAGED
#pragma unroll
    for (int s = 0; s < steps; s++) words[j][s] = __ldg(row + word_of(n.q, s));
#else
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
#endif
  }
}

#if STAGED
// Where a warp's rows of a chunk wait in shared memory: [steps][ITEMS][8 lines] of 16 bytes.
constexpr int stage_bytes = ITEMS * steps * 128;
constexpr int fourths = (ITEMS + 3) / 4;

// Each fourth item of a line, from item number / 8 on, as bytes into an image's projection: the rows that a lane brings for
// the warp. In place of an item that the line lacks, any pixel.
struct Share {
#if WRAP
  const Arguments &g;
  const Direction k;
  int position;
  DEVICE Share(const Arguments &g, Direction k, const Line &, int inside, int number)
      : g(g), k(k), position(g.length - inside + (number >> 3)) {}
  DEVICE int item(int i) const {
    const int forward = position + 4 * i < g.length ? position + 4 * i : 0;
    const int place = k.reverse ? g.length - 1 - forward : forward;
    const int outer = quotient(place, k.column ? g.per_height : g.per_width);
    return (k.column ? (place - outer * g.height) * g.width + outer : place) * 8 * row_size;
  }
#else
  int at, step;
  DEVICE Share(const Arguments &g, Direction k, const Line &line, int inside, int number) {
    const Walk walk(g, k, line, inside, g.width, 8 * row_size);
    at = walk.at + (number >> 3) * walk.step;
    step = 4 * walk.step;
  }
  DEVICE int item(int i) const { return at + i * step; }
#endif
};

DEVICE void stage(
    char *to, const Arguments &g, const Lane &n, const element *projection, Direction k, const Line &line, int inside) {
  const Share share(g, k, line, inside, n.number);
  const char *const rows = (const char *)(projection + k.index() * row_size);
#pragma unroll
  for (int i = 0; i < fourths; i++) {
    if (ITEMS % 4 == 0 || i + 1 < fourths || n.number < ITEMS % 4 * 8) {
      const char *const row = rows + share.item(i);
#pragma unroll
      for (int s = 0; s < steps; s++) copy_async_16(to + (s * ITEMS + i * 4) * 128 + n.number * 16, row + s * 16);
    }
  }
  copy_async_commit();
}

// COUNT items, at most 4, from `first` on.
template <int COUNT>
DEVICE void read_items(Words &words, unsigned stage, const Lane &n, int first, int s) {
  unsigned tiles[COUNT == 3 ? 4 : COUNT];
  // The fourth of three is the third once more.
  const int row = COUNT == 3 && n.number >= 24 ? n.number - 8 : n.number;
  load_tiles(tiles, stage + (s * ITEMS + first) * 128 + row * 16);
#pragma unroll
  for (int i = 0; i < COUNT; i++) words[first + i][s] = tiles[i];
}

DEVICE void read_stage(Words &words, unsigned stage, const Lane &n) {
#pragma unroll
  for (int s = 0; s < steps; s++) {
#pragma unroll
    for (int first = 0; first + 4 <= ITEMS; first += 4) read_items<4>(words, stage, n, first, s);
    if constexpr (ITEMS % 4 > 0) read_items<ITEMS % 4>(words, stage, n, ITEMS / 4 * 4, s);
  }
}
#else
constexpr int stage_bytes = 0;
#endif

// One direction's parameters as a lane needs them, in base 2. The weights are split in two elements each, so that the
// tensor core multiplies them exactly.
struct Coefficients {
  unsigned high[steps], low[steps];
  float bias[4], a[2];  // the bias twice, as the product of two items takes it
  DEVICE void read(const Parameters &all, const Lane &n, int turn) {
    const int k = Direction(turn).index();
#pragma unroll
    for (int i = 0; i < 2; i++) {
      bias[i] = all.bias[k][2 * n.q + i] * log2_e;
      bias[i + 2] = *(const volatile float *)&all.bias[k][2 * n.q + i] * log2_e;
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

// A chunk's scan as if the state before it were 0: at each item the state, and the factor that a state before the
// chunk's line would have kept.
struct Chunk {
  float kept[ITEMS][2], state[ITEMS][2];
  float gate[ITEMS];  // C
  float2 line_kept, line_state;  // over all lines up to this one
};

// Whether every state is finite. Once one is not, none after it is, so the last ones tell.
template <bool GUARDED>
DEVICE bool scan_lines(
    Chunk &chunk, const Coefficients &c, const Lane &n, const Words &words, Walk walk) {
#pragma unroll
  for (int m = 0; m < ITEMS; m += 2) {
    const int last = m + 1 < ITEMS ? m + 1 : m;
    float z[4];
    multiply_16x8x16(z, c.bias, words[m][0], words[last][0], words[m][0], words[last][0], c.high[0], c.low[0]);
#pragma unroll
    for (int s = 1; s < steps; s++)
      multiply_16x8x16(z, words[m][s], words[last][s], words[m][s], words[last][s], c.high[s], c.low[s]);
    chunk.kept[m][0] = z[0]; chunk.kept[m][1] = z[1];
    if (last != m) { chunk.kept[last][0] = z[2]; chunk.kept[last][1] = z[3]; }
  }
  float2 state = make_float2(0.f, 0.f), kept = make_float2(1.f, 1.f);
#pragma unroll
  for (int m = 0; m < ITEMS; m += 2) {
    const int last = m + 1 < ITEMS ? m + 1 : m;
    const unsigned first = load_shared(walk.next());
    const unsigned second = last > m ? load_shared(walk.next()) : first;
    float u[4], b[4], c_gates[4];
    multiply_16x8x8(u, first, second, n.same, 0.f, 0.f);
    multiply_16x8x8(b, words[m][gate_step()], words[last][gate_step()], n.b_column, 0.f, 0.f);
    multiply_16x8x8(c_gates, words[m][gate_step()], words[last][gate_step()], n.c_column, 0.f, 0.f);
#pragma unroll
    for (int j = m; j <= last; j++) {
      const int i = 2 * (j - m);
      chunk.gate[j] = c_gates[i];
      const float s0 = softplus<GUARDED>(chunk.kept[j][0]), s1 = softplus<GUARDED>(chunk.kept[j][1]);
      const float d0 = fast_exp2(c.a[0] * s0), d1 = fast_exp2(c.a[1] * s1);
      state.x = fmaf(d0, state.x, s0 * (b[i] * u[i]));
      state.y = fmaf(d1, state.y, s1 * (b[i] * u[i + 1]));
      kept.x *= d0; kept.y *= d1;
      chunk.state[j][0] = state.x; chunk.state[j][1] = state.y;
      chunk.kept[j][0] = kept.x; chunk.kept[j][1] = kept.y;
    }
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
// waits, so the others keep their distances in time. By the same way x of the next tile, here by turn 2 (with STAGED,
// each chunk has waited for the copies of the one before the last), is there for all after turn 3.
DEVICE void enter(int turn, int chunk, bool begun) {
  if (!STAGED && turn == 2) copy_async_wait<0>();
  if (WARPS == 1) {
    __syncwarp();
  } else if (chunk == 0 && (turn > 0 || begun)) {
    named_barrier(0, WARPS * 32);
  }
}

// What item j adds to y: C (state + kept before).
DEVICE float2 add_item(const Chunk &chunk, int j, float2 before, float2 sum) {
  const float c = chunk.gate[j];
  return make_float2(
      fmaf(c, fmaf(chunk.kept[j][0], before.x, chunk.state[j][0]), sum.x),
      fmaf(c, fmaf(chunk.kept[j][1], before.y, chunk.state[j][1]), sum.y));
}

// Positions whose sums are read before any is written, for the compiler cannot know that they differ.
constexpr int batch = 4;

// Whether a line that has any positions inside the plane has item j there.
DEVICE bool has([[maybe_unused]] int inside, [[maybe_unused]] int j) { return WRAP ? j < inside : true; }

template <bool FIRST>
DEVICE void add_chunk(const Chunk &chunk, int inside, Walk walk, float2 before) {
  if (inside <= 0) return;
#pragma unroll
  for (int first = 0; first < ITEMS; first += batch) {
    unsigned at[batch];
    float2 sums[batch];
#pragma unroll
    for (int i = 0; i < batch && first + i < ITEMS; i++) {
      at[i] = walk.next();
      sums[i] = FIRST ? make_float2(0.f, 0.f) : load_shared_2(at[i]);
    }
#pragma unroll
    for (int i = 0; i < batch && first + i < ITEMS; i++) {
      if (has(inside, first + i)) store_shared_2(at[i], add_item(chunk, first + i, before, sums[i]));
    }
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
    const Chunk &chunk, unsigned to_y, int inside, Walk walk, Walk target, float2 before,
    float2 skip, output_pair *out) {
  if (inside <= 0) return;
#pragma unroll
  for (int j = 0; j < ITEMS; j++) {
    const int at = walk.next();
    const float2 u = unpack(load_shared(at));
    const float2 sum = add_item(chunk, j, before, load_shared_2(2 * at + to_y));
    output_pair *const to = out + target.next();
    if (has(inside, j)) *to = to_output(make_float2(fmaf(ln_2, sum.x, skip.x * u.x), fmaf(ln_2, sum.y, skip.y * u.y)));
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
}

KERNEL __launch_bounds__(RINGS * WARPS * 32, BLOCKS) ss2d_forward(Arguments g) {
  Lane n;
  const int ring = (int)threadIdx.x / (WARPS * 32), thread = (int)threadIdx.x - ring * (WARPS * 32);
  n.number = thread & 31;
  n.q = n.number & 3;
  n.warp = __shfl_sync(~0u, thread >> 5, 0);  // the compiler sees that it is the same for a warp
  n.line = line_of(n.number >> 2);
  n.brings = line_of(n.number & 7);
  n.before = group_of(n.line ? n.line - 1 : 0) * 4 + n.q;
  const unsigned low = one, high = one << 16;
  n.same = n.number >> 2 == 2 * n.q ? low : n.number >> 2 == 2 * n.q + 1 ? high : 0;
  n.b_column = n.q == gate_lane() ? low : 0;
  n.c_column = n.q == gate_lane() ? high : 0;

  SHARED_MEMORY(char, memory);
  const int plane = g.height * g.pitch * 16;
  const int ring_bytes = (2 + BUFFERS) * plane + BUFFERS * (int)sizeof(Parameters) + WARPS * (32 + stage_bytes);
  char *const own = memory + ring * ring_bytes;
  char *const sums = own, *const buffers = own + 2 * plane;
  Parameters *const parameters = (Parameters *)(own + (2 + BUFFERS) * plane);
  float2 *const slots = (float2 *)(parameters + BUFFERS);
  unsigned *const line_list = (unsigned *)(memory + RINGS * ring_bytes);
  list_lines(g, line_list);
  const Lines lines{shared_address(line_list)};
  if (RINGS * WARPS > 1) __syncthreads(); else __syncwarp();

  int number = (int)blockIdx.x * RINGS + ring, buffer = 0, j = n.warp;
  if (number >= g.tiles) return;
  load_tile(g, number, thread, buffers, parameters[0]);
  int image = Tile(g, number).image;
  const auto rows_of = [&](int image) { return g.projection + image * g.projection_image; };
  const auto inside = [&](int chunk, int line) { return g.length - (chunk * 8 + line) * ITEMS; };
  Words words;
#if STAGED
  char *const staged = (char *)(slots + WARPS * 4) + n.warp * stage_bytes;
  const auto bring = [&](int image, Direction k, int chunk) {
    stage(staged, g, n, rows_of(image), k, Line(g, lines, k, chunk, n.brings), inside(chunk, n.brings));
  };
  bring(image, Direction(0), j);
#elif PREFETCH
  Line ahead(g, lines, Direction(0), j, n.line);
  fetch(words, g, n, rows_of(image), Direction(0), ahead, inside(j, n.line));
#endif
  copy_async_commit();
  copy_async_wait<0>();
  ring_barrier();
  bool begun = false;
  while (true) {
    const Tile tile(g, number);
    const int following = number + (int)gridDim.x * RINGS;
    const bool more = BUFFERS == 2 && following < g.tiles;
    const int following_image = more ? Tile(g, following).image : image;
    const unsigned x = shared_address(buffers + buffer * plane) + 4 * n.q, y = shared_address(sums) + 8 * n.q;
    const Parameters &own_parameters = parameters[buffer];
#pragma unroll 1
    for (int turn = 0; turn < 4; turn++) {
      const Direction k(turn);
      Coefficients c;
      c.read(own_parameters, n, turn);
      float2 carry = make_float2(0.f, 0.f);
#pragma unroll 1
      for (; j < g.chunks; j += WARPS) {
        // The next chunk's rows come whether there is one or not: without a branch, that hides in the scan.
        const bool same = j + WARPS < g.chunks;
        [[maybe_unused]] const int next = same ? j + WARPS : j + WARPS - g.chunks;
        [[maybe_unused]] const Direction then(same ? turn : turn + 1 & 3);
        [[maybe_unused]] const int next_image = same || turn < 3 ? image : following_image;
#if STAGED
        copy_async_wait<1>();  // but for the copies of the last chunk's end
        __syncwarp();
        read_stage(words, shared_address(staged), n);
        __syncwarp();
        bring(next_image, then, next);
        const Line line(g, lines, k, j, n.line);
#elif PREFETCH
        const Line line = ahead;
        ahead = Line(g, lines, then, next, n.line);
#else
        const Line line(g, lines, k, j, n.line);
        fetch(words, g, n, rows_of(image), k, line, inside(j, n.line));
#endif
        Chunk chunk;
        const Walk walk(g, k, line, inside(j, n.line), g.pitch, 16, x);
        const bool finite = scan_lines<false>(chunk, c, n, words, walk);
        scan_over_lines(chunk, n);
        if (__any_sync(~0u, !finite)) {
          const Line again = line.anew();
          fetch(words, g, n, rows_of(image), k, again, inside(j, n.line));
          scan_lines<true>(chunk, c, n, words, Walk(g, k, again, inside(j, n.line), unknown(g.pitch), 16, x));
          scan_over_lines(chunk, n);
        }
#if !STAGED && PREFETCH
        fetch(words, g, n, rows_of(next_image), then, ahead, inside(next, n.line));
#endif
        if (j < WARPS) enter(turn, j, begun);
        const float2 before = pass_on(chunk, n, slots, carry, j, g.chunks);
        const Line again = line.anew();
        const int own_inside = inside(j, n.line);
        const Walk doubled(g, k, again, own_inside, unknown(g.pitch), 32, y);
        if (turn == 0) {
          add_chunk<true>(chunk, own_inside, doubled, before);
        } else if (turn < 3) {
          add_chunk<false>(chunk, own_inside, doubled, before);
        } else {
          float2 skip = make_float2(0.f, 0.f);
#pragma unroll
          for (int i = 0; i < 4; i++) {
            skip.x += own_parameters.d[i][2 * n.q];
            skip.y += own_parameters.d[i][2 * n.q + 1];
          }
          constexpr int bytes = OUTPUT ? 2 : 4;
          const Walk target(g, k, line, own_inside, g.width, g.y_pixel / 2);
          char *const out = (char *)g.y + (image * g.y_image + tile.channel + 2 * n.q) * bytes;
          const Walk single(g, k, again, own_inside, unknown(g.pitch), 16, x);
          write_chunk(
              chunk, y - 2 * x, own_inside, single, target, before, skip, (output_pair *)out);
        }
        if (turn == 0 && j < WARPS && more) {
          load_tile(g, following, thread, buffers + (buffer ^ 1) * plane, parameters[buffer ^ 1]);
        }
        copy_async_commit();
      }
      j -= g.chunks;
      if (WARPS > 1 && j > 0 && (turn < 3 || more)) named_arrive(0, WARPS * 32);
    }
    if (!more) break;
    number = following;
    image = following_image;
    buffer ^= 1;
    begun = true;
  }
}
