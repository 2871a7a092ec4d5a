// Gradients of the 2-D selective scan in four directions for any map: any size, strides, rank and count of states.
//
// The plane is cut into square tiles, and a path into the segments that tiles cut out of its rows or columns. With h
// the states, a_t the decays and g_t = C_t dy_t + a_{t+1} g_{t+1} their gradients, the first kernel finds for each
// segment the sum of its steps, the states that it leaves behind a state of 0, and the gradient a_t g_t before it of
// nothing after it; the second turns these into the states before and the gradients after each segment; the third
// computes states, then gradients, of a tile's segments from there. States are not kept from the forward pass.
//
// A block is one tile of 32 channels at a time, a lane a channel, a warp a segment. SIDE is the tile's, RANK and STATE
// are the counts of the definition, BLOCKS the blocks of a multiprocessor, TOGETHER, 4 or 1, the directions whose
// projections lie in shared memory at a time; OUTPUT 0 reads dy as `real`, else as elements. Pixels outside the map
// have steps, x and dy of 0, which leave states and gradients as they are. Sums over channels and pixels are those of a
// block first: `rows` and `parameters` are added up, in a fixed order, afterwards.
#include "prelude.cuh"

#if OUTPUT
typedef element upstream;
#else
typedef real upstream;
#endif

struct Arguments {
  const upstream *dy;
  const element *x, *projection;
  const real *weight, *bias, *a, *d;
  element *dx, *dprojection;
  real *scratch;     // [images][columns][4][segments][1 + 2 STATE][32]
  real *rows;        // [images][splits][4][pixels][RANK + 2 STATE]
  real *parameters;  // [parts][groups][weight [4, D, R], bias [4, D], a [4D, N], d [4D]]
  int channels, height, width;
  int down, across;    // tiles
  int parts, groups, splits;      // of the images, the tiles and the channels, each with blocks of its own
  long long first_image, images;  // of this launch
  long long dy_strides[4], x_strides[4], projection_strides[4], dx_strides[4], dprojection_strides[4];
};

constexpr int lanes = 32, pitch = lanes + 1, pixels = SIDE * SIDE, plane = pixels * pitch;
constexpr int row_count = RANK + 2 * STATE, row_size = (row_count + 3) / 4 * 4;
constexpr int weight_size = (RANK + 7) / 8 * 8 + 4;
constexpr int parameter_count = RANK + STATE + 2, total_count = 1 + 2 * STATE;
// To add up what the lanes have, a warp becomes `parts` groups of one lane an item.
constexpr int line = SIDE > 8 ? 16 : SIDE > 4 ? 8 : SIDE > 2 ? 4 : SIDE;
constexpr int parts = lanes / line, exchange_pitch = lanes + parts;

#include "ss2d_general.cuh"

// The plane's segments of a direction are numbered along its walk forwards.
DEVICE long long segments_of(const Arguments &g, bool column) {
  return column ? (long long)g.width * g.down : (long long)g.height * g.across;
}
DEVICE real *scratch_of(const Arguments &g, long long task, Direction k) {
  const long long rows = segments_of(g, false), columns = segments_of(g, true);
  const long long before = (2 * task + k.reverse) * (rows + columns) + (k.column ? rows : 0);
  return g.scratch + before * total_count * lanes;
}
DEVICE int columns_of(const Arguments &g) { return (g.channels + lanes - 1) / lanes; }

// The block's shared memory.
struct Shared {
  real projection[TOGETHER][pixels * row_size], weight[TOGETHER][lanes * weight_size];
  real x[plane], dy[plane], dx[plane];
  real exchange[SIDE][2][SIDE * exchange_pitch];  // of each warp
  real parameters[SIDE][parameter_count][lanes];  // of each warp
};
DEVICE real *shared_numbers() {
  SHARED_MEMORY(real, memory);
  return memory;
}
DEVICE Shared &shared_memory() { return *(Shared *)shared_numbers(); }

// A tile of 32 channels of one image.
struct Tile {
  int lane, warp;
  int channel;                     // the first
  int row, column, height, width;  // in the map
  long long image;                 // of this launch

  DEVICE Tile(const Arguments &g, long long image, int column_of_channels, int tile) : image(image) {
    lane = (int)threadIdx.x % lanes;
    warp = (int)threadIdx.x / lanes;
    channel = column_of_channels * lanes;
    row = tile / g.across * SIDE;
    column = tile % g.across * SIDE;
    height = min(SIDE, g.height - row);
    width = min(SIDE, g.width - column);
  }
  // The lane's channel; lanes past the last channel repeat that.
  DEVICE int own(const Arguments &g) const { return min(channel + lane, g.channels - 1); }
};

// Calls `visit(place in shared memory, offset in global memory, whether it is in the map)` for a tile of a map; what is
// not in the tile has its place in the padding, so that loads need no branches and go out together. A warp goes along
// its row of the tile; its lanes are channels, or pixels and groups of channels where pixels are neighbours in global
// memory.
template <class Visit>
DEVICE void for_elements(const Arguments &g, const Tile &b, const long long *strides, Visit visit) {
  const bool channels_last = strides[1] == 1;
  const int group = b.lane / line, w = channels_last ? 0 : b.lane % line, c = channels_last ? b.lane : group * line;
  const long long next = channels_last ? strides[3] : strides[1];
  const int next_place = channels_last ? pitch : 1;
  int place = (b.warp * SIDE + w) * pitch + c;
  long long offset = (g.first_image + b.image) * strides[0] + (b.channel + c) * strides[1] +
                     (b.row + b.warp) * strides[2] + (b.column + w) * strides[3];
  // How many of the following are in the map, and in the tile.
  const bool starts = b.warp < b.height && w < b.width;
  const int channels = g.channels - b.channel - c;
  const int present = !starts ? 0 : !channels_last ? channels : channels > 0 ? b.width : 0;
  const int count = channels_last ? SIDE : w < SIDE ? line : 0;
#pragma unroll
  for (int i = 0; i < (SIDE > line ? SIDE : line); i++, place += next_place, offset += next) {
    visit(SIDE == line || i < count ? place : lanes, offset, i < present);
  }
}

DEVICE void load_maps(const Arguments &g, const Tile &b) {
  for_elements(g, b, g.x_strides, [&](int at, long long from, bool present) {
    const real v = to_real(g.x[present ? from : 0]);
    shared_memory().x[at] = present ? v : 0;
  });
  for_elements(g, b, g.dy_strides, [&](int at, long long from, bool present) {
#if OUTPUT
    const real v = to_real(g.dy[present ? from : 0]);
#else
    const real v = g.dy[present ? from : 0];
#endif
    shared_memory().dy[at] = present ? v : 0;
  });
}

// The projections of a direction, B in the step's unit, and its weights in base 2.
DEVICE void load_direction(const Arguments &g, const Tile &b, int k, int place) {
  real *const projection = shared_memory().projection[place] + b.warp * SIDE * row_size;
  real *const weight = shared_memory().weight[place];
  const long long *const strides = g.projection_strides;
  const bool rows_first = strides[2] == 1;
  const element *const from = g.projection + (g.first_image + b.image) * strides[0] + k * strides[1] +
                              ((long long)(b.row + b.warp) * g.width + b.column) * strides[3];
#pragma unroll 2
  for (int i = b.lane; i < SIDE * row_count; i += lanes) {
    const int r = rows_first ? i % row_count : i / SIDE, w = rows_first ? i / row_count : i % SIDE;
    const real v = b.warp < b.height && w < b.width ? to_real(from[r * strides[2] + w * strides[3]]) : 0;
    projection[w * row_size + r] = r >= RANK && r < RANK + STATE ? v * unit : v;
  }
  const real *const own = g.weight + ((long long)k * g.channels + b.own(g)) * RANK;
  const bool exists = b.channel + b.lane < g.channels;
  for (int r = b.warp; r < RANK; r += SIDE) weight[b.lane * weight_size + r] = exists ? own[r] * (1 / unit) : 0;
}

// A warp's segment of a direction; item 0 is the first along the walk.
struct Segment {
  bool exists;
  int first, next;  // pixels
  int begin, end;   // items in the map
  real *total;      // the lane's part of the segment's totals

  DEVICE Segment(const Arguments &g, const Tile &b, Direction k) {
    const int count = k.column ? b.width : b.height, items = k.column ? b.height : b.width;
    const int along = k.column ? SIDE : 1, across = k.column ? 1 : SIDE;
    exists = b.warp < count;
    first = b.warp * across + (k.reverse ? (SIDE - 1) * along : 0);
    next = k.reverse ? -along : along;
    begin = k.reverse ? SIDE - items : 0;
    end = exists ? begin + items : 0;
    const long long number = k.column ? (long long)(b.column + b.warp) * g.down + b.row / SIDE
                                      : (long long)(b.row + b.warp) * g.across + b.column / SIDE;
    total = scratch_of(g, b.image * columns_of(g) + b.channel / lanes, k) + number * total_count * lanes + b.lane;
  }
  DEVICE int pixel(int item) const { return first + item * next; }
};

DEVICE void find_steps(const Tile &b, const Segment &s, const real *projection, const real *weight, real bias,
                       real (&step)[SIDE]) {
#pragma unroll
  for (int i = 0; i < SIDE; i++) step[i] = bias;
#pragma unroll 4
  for (int r = 0; r < RANK; r += 4) {
    const Quad w = *(const Quad *)(weight + b.lane * weight_size + r);
#pragma unroll
    for (int i = 0; i < SIDE; i++) {
      const Quad dt = *(const Quad *)(projection + s.pixel(i) * row_size + r);
#pragma unroll
      for (int j = 0; j < 4; j++) {
        if (r + j < RANK) step[i] += dt.v[j] * w.v[j];
      }
    }
  }
#pragma unroll
  for (int i = 0; i < SIDE; i++) {
    const real in_map = softplus(step[i]);
    step[i] = i >= s.begin && i < s.end ? in_map : 0;
  }
}

DEVICE void find_totals(const Arguments &g, const Tile &b, Direction k, int place) {
  const Segment s(g, b, k);
  const real *const projection = shared_memory().projection[place], *const weight = shared_memory().weight[place];
  const long long parameter = (long long)k.index * g.channels + b.own(g);
  real step[SIDE], sum = 0;
  find_steps(b, s, projection, weight, g.bias[parameter] * (1 / unit), step);
#pragma unroll
  for (int i = 0; i < SIDE; i++) sum += step[i];
  if (!s.exists) return;
  s.total[0] = sum;
#pragma unroll 2
  for (int n = 0; n < STATE; n++) {
    const real a = g.a[parameter * STATE + n];
    real state = 0, gradient = 0, decays = 1;
#pragma unroll
    for (int i = 0; i < SIDE; i++) {
      const real *const row = projection + s.pixel(i) * row_size + RANK + n;
      const int at = s.pixel(i) * pitch + b.lane;
      const real decay = power(a * step[i]);
      state = decay * state + row[0] * (step[i] * shared_memory().x[at]);
      decays *= decay;
      gradient += decays * (row[STATE] * shared_memory().dy[at]);
    }
    s.total[(1 + n) * lanes] = state;
    s.total[(1 + STATE + n) * lanes] = gradient;
  }
}

KERNEL __launch_bounds__(32 * SIDE, BLOCKS) ss2d_backward_totals(Arguments g) {
  const int tiles = g.down * g.across, columns = columns_of(g);
  const long long task = blockIdx.x / tiles;
  const Tile b(g, task / columns, (int)(task % columns), (int)(blockIdx.x % tiles));
  load_maps(g, b);
#pragma unroll 1
  for (int k = 0; k < 4; k++) {
    if (k % TOGETHER == 0) {
      if (k > 0) __syncthreads();
#pragma unroll 1
      for (int i = 0; i < TOGETHER; i++) load_direction(g, b, k + i, i);
      __syncthreads();
    }
    find_totals(g, b, Direction(k), k % TOGETHER);
  }
}

// Calls `visit(steps, left, place)` for segments one after the other, null places after the last; loads of a batch go
// out together.
template <class Visit>
DEVICE void for_segments(const real *steps, real *left, long long step_to_next, long long count, Visit visit) {
  constexpr int batch = 8;
  for (long long first = 0; first < count; first += batch) {
    real sums[batch], states[batch];
#pragma unroll
    for (int i = 0; i < batch; i++) {
      const bool exists = first + i < count;
      sums[i] = exists ? steps[(first + i) * step_to_next] : 0;
      states[i] = exists ? left[(first + i) * step_to_next] : 0;
    }
#pragma unroll
    for (int i = 0; i < batch; i++) {
      visit(sums[i], states[i], first + i < count ? left + (first + i) * step_to_next : nullptr);
    }
  }
}

// A block is the states, or their gradients, of one number of state of a direction and task; its warps share the
// segments.
KERNEL __launch_bounds__(512) ss2d_backward_carries(Arguments g) {
  real *const pieces = shared_numbers();  // [warps][2][32]
  const int lane = (int)threadIdx.x % lanes, warp = (int)threadIdx.x / lanes, warps = (int)blockDim.x / lanes;
  const int which = (int)(blockIdx.x % (2 * STATE)), n = which % STATE;
  const Direction k((int)(blockIdx.x / (2 * STATE) % 4));
  const bool backwards = k.reverse != (which >= STATE);
  const long long task = blockIdx.x / (2 * STATE) / 4;
  const long long count = segments_of(g, k.column), each = (count + warps - 1) / warps;
  const int channel = min((int)(task % columns_of(g)) * lanes + lane, g.channels - 1);
  const real a = g.a[((long long)k.index * g.channels + channel) * STATE + n];
  const long long begin = min(warp * each, count), end = min(begin + each, count);
  const long long next = (backwards ? -total_count : total_count) * lanes;
  const long long start = backwards ? (count - 1) * total_count * lanes : 0;
  real *const steps = scratch_of(g, task, k) + start + begin * next + lane;
  real *const left = steps + (1 + which) * lanes;
  real sum = 0, state = 0;
  for_segments(steps, left, next, end - begin, [&](real by, real from_nothing, real *) {
    state = power(a * by) * state + from_nothing;
    sum += by;
  });
  state = state_before(pieces, warp, lane, a, sum, state);
  for_segments(steps, left, next, end - begin, [&](real by, real from_nothing, real *place) {
    if (place) *place = state;
    state = power(a * by) * state + from_nothing;
  });
}

// The sum over lanes of item lane % line of [SIDE][exchange_pitch].
DEVICE real sum_over_lanes(const Tile &b, const real *values) {
  const int item = min(b.lane % line, SIDE - 1), part = b.lane / line;
  real sum = 0;
#pragma unroll
  for (int j = 0; j < line; j++) sum += values[item * exchange_pitch + j * parts + part];
#pragma unroll
  for (int by = line; by < lanes; by *= 2) sum += __shfl_xor_sync(~0u, sum, by);
  return sum;
}

// Gradients of a direction's segments: adds to the tile's dx, puts the rows' in place of the rows, and the warp's share
// of the parameters' into `b.parameters`.
DEVICE void find_gradients(const Arguments &g, const Tile &b, Direction k, int place) {
  const Segment s(g, b, k);
  Shared &shared = shared_memory();
  real *const projection = shared.projection[place], *const weight = shared.weight[place];
  const long long parameter = (long long)k.index * g.channels + b.own(g);
  real *const sums = &shared.parameters[b.warp][0][b.lane];
  real step[SIDE], dstep[SIDE], dinput[SIDE];
  find_steps(b, s, projection, weight, g.bias[parameter] * (1 / unit), step);
#pragma unroll
  for (int i = 0; i < SIDE; i++) dstep[i] = dinput[i] = 0;
  const int item = b.lane % line;
  real *const item_row = projection + s.pixel(min(item, SIDE - 1)) * row_size;
  const bool writes = b.lane < SIDE;
  real *const exchange = shared.exchange[b.warp][0], *const other_exchange = shared.exchange[b.warp][1];
#pragma unroll 1
  for (int n = 0; n < STATE; n++) {
    const real a = g.a[parameter * STATE + n];
    const real before = s.exists ? s.total[(1 + n) * lanes] : 0;
    real gradient = s.exists ? s.total[(1 + STATE + n) * lanes] : 0;
    real state[SIDE], decay[SIDE], da = 0;
#pragma unroll
    for (int i = 0; i < SIDE; i++) {
      decay[i] = power(a * step[i]);
      const real input = step[i] * shared.x[s.pixel(i) * pitch + b.lane];
      state[i] = decay[i] * (i > 0 ? state[i - 1] : before) + projection[s.pixel(i) * row_size + RANK + n] * input;
    }
    // What the lanes add up takes the place of decays and states; stores come last, so that loads need not wait for
    // them.
#pragma unroll
    for (int i = SIDE - 1; i >= 0; i--) {
      const real *const row = projection + s.pixel(i) * row_size + RANK + n;
      const int at = s.pixel(i) * pitch + b.lane;
      const real dy = shared.dy[at], db = gradient += row[STATE] * dy;
      dinput[i] += gradient * row[0];
      gradient *= decay[i];
      const real ddecay = gradient * (i > 0 ? state[i - 1] : before);
      da += ddecay * step[i];
      dstep[i] += ddecay * (a * unit);
      decay[i] = db * (step[i] * shared.x[at]);
      state[i] *= dy;
    }
#pragma unroll
    for (int i = 0; i < SIDE; i++) {
      exchange[i * exchange_pitch + b.lane] = decay[i];
      other_exchange[i * exchange_pitch + b.lane] = state[i];
    }
    sums[(RANK + 1 + n) * lanes] = da * unit;
    __syncwarp();
    const real db = sum_over_lanes(b, exchange) * unit, dc = sum_over_lanes(b, other_exchange);
    if (writes) item_row[RANK + n] = db, item_row[RANK + STATE + n] = dc;
    __syncwarp();
  }
  real dbias = 0;
#pragma unroll
  for (int i = 0; i < SIDE; i++) {
    const int at = s.pixel(i) * pitch + b.lane;
    shared.dx[at] += dinput[i] * step[i];
    const real dz = (dstep[i] + dinput[i] * shared.x[at]) * softplus_slope(step[i]);
    exchange[i * exchange_pitch + b.lane] = dz;
    dstep[i] = dz;
    dbias += dz;
  }
  sums[RANK * lanes] = dbias * (1 / unit);
#pragma unroll 2
  for (int r = 0; r < RANK; r += 4) {
    real dweight[4] = {};
#pragma unroll
    for (int i = 0; i < SIDE; i++) {
      const Quad dt = *(const Quad *)(projection + s.pixel(i) * row_size + r);
#pragma unroll
      for (int j = 0; j < 4; j++) dweight[j] += dstep[i] * dt.v[j];
    }
#pragma unroll
    for (int j = 0; j < 4; j++) {
      if (r + j < RANK) sums[(r + j) * lanes] = dweight[j] * (1 / unit);
    }
  }
  __syncwarp();
  const int part = b.lane / line;
  const real *const dz = exchange + min(item, SIDE - 1) * exchange_pitch + part;
#pragma unroll 2
  for (int r = 0; r < RANK; r += 4) {
    real ddt[4] = {};
#pragma unroll
    for (int i = 0; i < line; i++) {
      const Quad w = *(const Quad *)(weight + (i * parts + part) * weight_size + r);
      const real v = dz[i * parts];
#pragma unroll
      for (int j = 0; j < 4; j++) ddt[j] += v * w.v[j];
    }
#pragma unroll
    for (int j = 0; j < 4; j++) {
#pragma unroll
      for (int by = line; by < lanes; by *= 2) ddt[j] += __shfl_xor_sync(~0u, ddt[j], by);
      if (r + j < RANK && writes) item_row[r + j] = ddt[j];
    }
  }
}

// Adds the warps' sums of parameter gradients to the block's; the first tile's are written.
DEVICE void add_parameters(const Arguments &g, const Tile &b, int k, bool first, bool with_skip) {
  const long long all = 4ll * g.channels;
  const int group = (int)(blockIdx.x % g.groups), part = (int)(blockIdx.x / g.groups / g.splits);
  real *const block = g.parameters + ((long long)part * g.groups + group) * all * parameter_count;
  for (int i = (int)threadIdx.x; i < (parameter_count - !with_skip) * lanes; i += SIDE * lanes) {
    const int which = i / lanes, channel = b.channel + i % lanes;
    if (channel >= g.channels) continue;
    real sum = 0;
#pragma unroll
    for (int warp = 0; warp < SIDE; warp++) sum += shared_memory().parameters[warp][which][i % lanes];
    const long long place = (long long)k * g.channels + channel;
    const auto add = [&](real *to) { *to = first ? sum : *to + sum; };
    if (which < RANK) {
      add(block + place * RANK + which);
    } else if (which == RANK) {
      add(block + all * RANK + place);
    } else if (which <= RANK + STATE) {
      add(block + all * (RANK + 1) + place * STATE + which - RANK - 1);
    } else {
      // D sees the same product along every direction.
      for (int copy = 0; copy < 4; copy++) {
        add(block + all * (RANK + 1 + STATE) + (long long)copy * g.channels + channel);
      }
    }
  }
}

DEVICE void add_rows(const Arguments &g, const Tile &b, int k, int place, bool first) {
  if (b.warp >= b.height) return;
  const long long split = blockIdx.x / g.groups % g.splits, length = (long long)g.height * g.width;
  real *const rows = g.rows + ((b.image * g.splits + split) * 4 + k) * length * row_count;
  const real *const projection = shared_memory().projection[place] + b.warp * SIDE * row_size;
  real *const to = rows + ((long long)(b.row + b.warp) * g.width + b.column) * row_count;
#pragma unroll 2
  for (int i = b.lane; i < b.width * row_count; i += lanes) {
    const real own = projection[i / row_count * row_size + i % row_count];
    to[i] = first ? own : to[i] + own;
  }
}

DEVICE void run_tile(const Arguments &g, const Tile &b, bool first_rows, bool first_parameters) {
  load_maps(g, b);
#pragma unroll 1
  for (int turn = 0; turn < 4; turn++) {
    // A direction and its reverse follow each other: their warps have the same segments.
    const Direction k((turn & 1) * 2 + (turn >> 1));
    const int place = k.index % TOGETHER;
    if (turn % TOGETHER == 0) {
#pragma unroll 1
      for (int i = 0; i < TOGETHER; i++) load_direction(g, b, k.index + i, i);
      __syncthreads();
    }
    if (turn == 0) {
      Shared &shared = shared_memory();
      real skip = 0, dskip = 0;
      for (int i = 0; i < 4; i++) skip += g.d[(long long)i * g.channels + b.own(g)];
      for (int i = 0; i < SIDE; i++) {
        const int at = (b.warp * SIDE + i) * pitch + b.lane;
        shared.dx[at] = skip * shared.dy[at];
        dskip += shared.x[at] * shared.dy[at];
      }
      shared.parameters[b.warp][parameter_count - 1][b.lane] = dskip;
    }
    find_gradients(g, b, k, place);
    __syncthreads();
    add_parameters(g, b, k.index, first_parameters, turn == 0);
    add_rows(g, b, k.index, place, first_rows);
    __syncthreads();
  }
  for_elements(g, b, g.dx_strides, [&](int at, long long to, bool present) {
    if (present) g.dx[to] = to_element(shared_memory().dx[at]);
  });
  __syncthreads();
}

// Where the part `index` of `count` things begins.
DEVICE long long begin_of(long long count, int index, int parts) { return count * index / parts; }

// A block is a part of the images, of the tiles and of the channels; only it touches its sums.
KERNEL __launch_bounds__(32 * SIDE, BLOCKS) ss2d_backward_gradients(Arguments g) {
  const int group = (int)(blockIdx.x % g.groups), split = (int)(blockIdx.x / g.groups % g.splits);
  const int part = (int)(blockIdx.x / g.groups / g.splits);
  const int first_tile = (int)begin_of(g.down * g.across, group, g.groups);
  const int last_tile = (int)begin_of(g.down * g.across, group + 1, g.groups);
  const int first_column = (int)begin_of(columns_of(g), split, g.splits);
  const int last_column = (int)begin_of(columns_of(g), split + 1, g.splits);
  const long long first_image = begin_of(g.images, part, g.parts), last_image = begin_of(g.images, part + 1, g.parts);
#pragma unroll 1
  for (long long image = first_image; image < last_image; image++) {
#pragma unroll 1
    for (int tile = first_tile; tile < last_tile; tile++) {
#pragma unroll 1
      for (int column = first_column; column < last_column; column++) {
        run_tile(g, Tile(g, image, column, tile), column == first_column, tile == first_tile && image == first_image);
      }
    }
  }
}

// The projection's gradient from the sums of all splits.
KERNEL __launch_bounds__(256) ss2d_backward_rows(Arguments g) {
  const long long length = (long long)g.height * g.width, size = length * row_count;
  const long long i = blockIdx.x * 256ll + threadIdx.x, image_and_direction = i / size, at = i % size;
  if (i >= g.images * 4 * size) return;
  const long long image = image_and_direction / 4, k = image_and_direction % 4;
  const real *const from = g.rows + (image * g.splits * 4 + k) * size + at;
  real sum = 0;
#pragma unroll 4
  for (int split = 0; split < g.splits; split++) sum += from[split * 4 * size];
  const long long *const strides = g.dprojection_strides;
  g.dprojection[(g.first_image + image) * strides[0] + k * strides[1] + at % row_count * strides[2] +
                at / row_count * strides[3]] = to_element(sum);
}
