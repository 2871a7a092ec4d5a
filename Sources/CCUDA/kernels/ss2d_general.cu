// The 2-D selective scan in four directions for any map: any size, strides, rank and count of states.
//
// The plane is cut into tiles, and a path into the segments that tiles cut out of its rows or columns. Three kernels:
// the first finds, for each segment and direction, the sum of its steps and the state that it leaves behind a state
// of 0; the second turns these into the states before each segment; the third runs the four directions of a tile from
// there and writes the sum once. Steps are computed twice, in exchange every tile is independent and the scratch is
// linear in pixels.
//
// A block is one tile of 32 channels, a lane a channel, a warp a segment. RANK and STATE are the counts of the
// definition. OUTPUT 0 writes `real`, else elements. A task is 32 channels of one image.
#include "prelude.cuh"

struct Arguments {
  const element *x, *projection;
  const real *weight, *bias, *a, *d;
  void *y;
  real *scratch;  // [tasks][4][segments][1 + STATE][32]
  int channels, height, width;
  int tile_height, tile_width, down, across;  // tiles
  int together;  // directions whose projections lie in shared memory at a time: 4 or 1
  long long first_task;
  long long x_strides[4], projection_strides[4], y_strides[4];
};

constexpr int lanes = 32, pitch = lanes + 1;
constexpr int parameter_rows = RANK + STATE + 2;
constexpr int row_size = (RANK + 2 * STATE + 3) / 4 * 4;
// Weights live in registers where they leave room for the states.
constexpr bool keeps_weights = RANK <= 16;
constexpr int blocks = ELEMENT != 3 && RANK + 2 * STATE <= 20 ? 2 : 1;

#include "ss2d_general.cuh"

DEVICE real *shared_memory() {
  SHARED_MEMORY(real, memory);
  return memory;
}

// The plane's segments of a direction are numbered along its walk forwards.
DEVICE long long segments_of(const Arguments &g, bool column) {
  return column ? (long long)g.width * g.down : (long long)g.height * g.across;
}
DEVICE real *scratch_of(const Arguments &g, long long task, Direction k) {
  const long long rows = segments_of(g, false), columns = segments_of(g, true);
  const long long before = (2 * task + k.reverse) * (rows + columns) + (k.column ? rows : 0);
  return g.scratch + before * (1 + STATE) * lanes;
}

struct Block {
  int lane, warp, warps;
  int channel;  // the first of the block's
  int own;      // the lane's channel; lanes past the last one repeat it
  long long task, image;
  int tile_row, tile_column, row, column, height, width;
  real *parameters;  // [4][parameter_rows][32]: weights in base 2, the bias in base 2, A, D
  real *projection, *x, *y;

  DEVICE explicit Block(const Arguments &g) {
    const int tiles = g.down * g.across, tile = (int)(blockIdx.x % tiles), columns = (g.channels + lanes - 1) / lanes;
    lane = (int)threadIdx.x % lanes;
    warp = (int)threadIdx.x / lanes;
    warps = (int)blockDim.x / lanes;
    task = blockIdx.x / tiles;
    image = (g.first_task + task) / columns;
    channel = (int)((g.first_task + task) % columns) * lanes;
    own = min(channel + lane, g.channels - 1);
    tile_row = tile / g.across;
    tile_column = tile % g.across;
    row = tile_row * g.tile_height;
    column = tile_column * g.tile_width;
    height = min(g.tile_height, g.height - row);
    width = min(g.tile_width, g.width - column);
    const int pixels = g.tile_height * g.tile_width;
    projection = shared_memory();
    parameters = projection + g.together * pixels * row_size;
    x = parameters + 4 * parameter_rows * lanes;
    y = x + pixels * pitch;
  }
};

// Calls `visit(item, place in shared memory, offset in global memory)` for a lane's share of a map's tile, at most 16
// items. A warp takes a row of the tile, which is at most 16 wide; its lanes go along the dimension whose elements
// are neighbours in global memory.
template <class Visit>
DEVICE void for_row(const Arguments &g, const Block &b, const long long *strides, Visit visit) {
  if (b.warp >= b.height) return;
  const int present = min(lanes, g.channels - b.channel);
  const bool channels_last = strides[1] == 1;
  const int channel = channels_last ? b.lane : b.lane / 16, column = channels_last ? 0 : b.lane % 16;
  const int channel_step = channels_last ? 0 : 2, column_step = channels_last ? 1 : 0;
  const long long from = b.image * strides[0] + (b.channel + channel) * strides[1] + (b.row + b.warp) * strides[2] +
      (b.column + column) * strides[3];
  const long long step = channel_step * strides[1] + column_step * strides[3];
  const int to = (b.warp * g.tile_width + column) * pitch + channel;
#pragma unroll
  for (int i = 0; i < 16; i++) {
    if (column + i * column_step < b.width && channel + i * channel_step < present) {
      visit(i, to + i * (column_step * pitch + channel_step), from + i * step);
    }
  }
}

// The projections of `count` directions from `first`, B in the step's unit, of a row for each warp. Loads are issued
// before any of them is waited for.
DEVICE void load_projections(const Arguments &g, const Block &b, int first, int count) {
  if (b.warp >= b.height) return;
  constexpr int rows = RANK + 2 * STATE, batch = 4;
  const bool rows_first = g.projection_strides[2] == 1;
  const int size = g.tile_height * g.tile_width * row_size;
  const element *const from = g.projection + b.image * g.projection_strides[0] + first * g.projection_strides[1] +
      ((long long)(b.row + b.warp) * g.width + b.column) * g.projection_strides[3];
  real *const to = b.projection + b.warp * g.tile_width * row_size;
  for (int start = 0; start < 16 * rows; start += batch * lanes) {
    real held[batch][4];
    int places[batch];
#pragma unroll
    for (int i = 0; i < batch; i++) {
      const int at = start + i * lanes + b.lane;
      const int w = rows_first ? at / rows : at % 16, r = rows_first ? at % rows : at / 16;
      places[i] = w < b.width && r < rows ? w * row_size + r : -1;
      const element *const source = from + r * g.projection_strides[2] + w * g.projection_strides[3];
      const real scale = r >= RANK && r < RANK + STATE ? unit : 1;
#pragma unroll
      for (int k = 0; k < 4; k++) {
        if (places[i] >= 0 && k < count) held[i][k] = to_real(__ldg(source + k * g.projection_strides[1])) * scale;
      }
    }
#pragma unroll
    for (int i = 0; i < batch; i++) {
#pragma unroll
      for (int k = 0; k < 4; k++) {
        if (places[i] >= 0 && k < count) to[k * size + places[i]] = held[i][k];
      }
    }
  }
}

// Row `row` of the block's parameters, for the lane's channel.
DEVICE real parameter(const Arguments &g, const Block &b, int row) {
  const int k = row / parameter_rows, r = row % parameter_rows;
  const long long channel = (long long)k * g.channels + b.own;
  if (r < RANK) return __ldg(g.weight + channel * RANK + r) * (1 / unit);
  if (r == RANK) return __ldg(g.bias + channel) * (1 / unit);
  return r <= RANK + STATE ? __ldg(g.a + channel * STATE + r - RANK - 1) : __ldg(g.d + channel);
}

// Runs the tile's segments of a direction. SUMS: from the states before them, adding to y (the FIRST
// direction begins it), or from 0, writing totals.
template <bool SUMS, bool FIRST>
DEVICE void walk(const Arguments &g, const Block &b, Direction k, const real *projection) {
  const int count = k.column ? b.width : b.height, items = k.column ? b.height : b.width;
  const int along = k.column ? g.tile_width : 1, across = k.column ? 1 : g.tile_width;
  const real *const weight = b.parameters + k.index * parameter_rows * lanes + b.lane;
  const real bias = weight[RANK * lanes];
  real skip = 0;
  if (SUMS && FIRST) {
    for (int i = 0; i < 4; i++) skip += b.parameters[((i + 1) * parameter_rows - 1) * lanes + b.lane];
  }
  real a[STATE], kept[keeps_weights ? RANK : 1];
#pragma unroll
  for (int n = 0; n < STATE; n++) a[n] = weight[(RANK + 1 + n) * lanes];
  if constexpr (keeps_weights) {
#pragma unroll
    for (int r = 0; r < RANK; r++) kept[r] = weight[r * lanes];
  }
  real *const scratch = scratch_of(g, b.task, k) + b.lane;
  for (int s = b.warp; s < count; s += b.warps) {
    const long long number = k.column ? (long long)(b.column + s) * g.down + b.tile_row
                                      : (long long)(b.row + s) * g.across + b.tile_column;
    real *const total = scratch + number * (1 + STATE) * lanes;
    real state[STATE], sum = 0;
#pragma unroll
    for (int n = 0; n < STATE; n++) state[n] = SUMS ? total[(1 + n) * lanes] : 0;
    const int pixel = s * across + (k.reverse ? (items - 1) * along : 0), next = k.reverse ? -along : along;
    const real *row = projection + pixel * row_size, *x = b.x + pixel * pitch + b.lane;
    real *y = b.y + pixel * pitch + b.lane;
#pragma unroll 2
    for (int i = 0; i < items; i++) {
      real z = bias;
#pragma unroll
      for (int r = 0; r < RANK; r += 4) {
        const Quad dt = *(const Quad *)(row + r);
#pragma unroll
        for (int j = 0; j < 4; j++) {
          if (r + j < RANK) z += dt.v[j] * (keeps_weights ? kept[keeps_weights ? r + j : 0] : weight[(r + j) * lanes]);
        }
      }
      const real step = softplus(z), input = step * *x;
      real out = 0;
#pragma unroll
      for (int n = 0; n < STATE; n++) {
        state[n] = power(a[n] * step) * state[n] + row[RANK + n] * input;
        if (SUMS) out += row[RANK + STATE + n] * state[n];
      }
      if (SUMS) {
        *y = out + (FIRST ? skip * *x : *y);
        y += next * pitch;
      } else {
        sum += step;
      }
      x += next * pitch;
      row += next * row_size;
    }
    if (!SUMS) {
      total[0] = sum;
#pragma unroll
      for (int n = 0; n < STATE; n++) total[(1 + n) * lanes] = state[n];
    }
  }
}

template <bool SUMS>
DEVICE void run_tile(const Arguments &g) {
  const Block b(g);
  element held[16];
  for_row(g, b, g.x_strides, [&](int i, int, long long from) { held[i] = __ldg(g.x + from); });
#pragma unroll 4
  for (int row = b.warp; row < 4 * parameter_rows; row += b.warps) {
    b.parameters[row * lanes + b.lane] = parameter(g, b, row);
  }
  for_row(g, b, g.x_strides, [&](int i, int to, long long) { b.x[to] = to_real(held[i]); });
#pragma unroll 1
  for (int turn = 0; turn < 4; turn++) {
    // A direction and its reverse follow each other: their warps have the same segments.
    const Direction k((turn & 1) * 2 + (turn >> 1));
    const bool together = g.together == 4;
    if (turn == 0 || !together) {
      if (turn > 0) __syncthreads();
      load_projections(g, b, together ? 0 : k.index, g.together);
    }
    if (turn == 0 || turn == 2 || !together) __syncthreads();
    const int place = together ? k.index * g.tile_height * g.tile_width * row_size : 0;
    if (turn == 0) {
      walk<SUMS, true>(g, b, k, b.projection + place);
    } else {
      walk<SUMS, false>(g, b, k, b.projection + place);
    }
  }
}

KERNEL __launch_bounds__(512, blocks) ss2d_totals(Arguments g) { run_tile<false>(g); }

// A block is one state of a direction and task; its warps share the segments.
KERNEL __launch_bounds__(1024) ss2d_carries(Arguments g) {
  real *const pieces = shared_memory();  // [warps][2][32]
  const int lane = (int)threadIdx.x % lanes, warp = (int)threadIdx.x / lanes, warps = (int)blockDim.x / lanes;
  const int columns = (g.channels + lanes - 1) / lanes, n = (int)(blockIdx.x % STATE);
  const Direction k((int)(blockIdx.x / STATE % 4));
  const long long task = blockIdx.x / STATE / 4, count = segments_of(g, k.column), each = (count + warps - 1) / warps;
  const int channel = min((int)((g.first_task + task) % columns) * lanes + lane, g.channels - 1);
  const real a = g.a[((long long)k.index * g.channels + channel) * STATE + n];
  real *const totals = scratch_of(g, task, k) + lane;
  const long long begin = min(warp * each, count), end = min(begin + each, count);
  const auto total = [&](long long i) { return totals + (k.reverse ? count - 1 - i : i) * (1 + STATE) * lanes; };
  real sum = 0, state = 0;
#pragma unroll 8
  for (long long i = begin; i < end; i++) {
    const real steps = total(i)[0];
    state = power(a * steps) * state + total(i)[(1 + n) * lanes];
    sum += steps;
  }
  state = state_before(pieces, warp, lane, a, sum, state);
#pragma unroll 8
  for (long long i = begin; i < end; i++) {
    real &own = total(i)[(1 + n) * lanes];
    const real left = own;
    own = state;
    state = power(a * total(i)[0]) * state + left;
  }
}

KERNEL __launch_bounds__(512, blocks) ss2d_sums(Arguments g) {
  run_tile<true>(g);
  __syncthreads();
  const Block b(g);
#if OUTPUT
  element *const y = (element *)g.y;
  for_row(g, b, g.y_strides, [&](int, int at, long long to) { y[to] = to_element(b.y[at]); });
#else
  real *const y = (real *)g.y;
  for_row(g, b, g.y_strides, [&](int, int at, long long to) { y[to] = b.y[at]; });
#endif
}
