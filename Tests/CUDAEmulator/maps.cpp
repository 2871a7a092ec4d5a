// Runs the kernels for maps on the processor and compares them with plain definitions in double. Every function returns the
// largest error relative to the largest value, and -1 for a configuration that is not among those compiled here.
#include "emulator.h"

#include <array>
#include <map>

#include "../../Sources/CTorch/cuda_map_plans.h"

namespace {

using namespace ctorch::cuda;

// ---- the cases

struct RowSums {
  const void *partial;
  void *sums;
  int64_t rows, count;  // of depthwise_weight_sum: blocks and channels
};

using Runner = std::map<std::string, void (*)(const void *)>;
// PROGRAM, ELEMENT, VECTOR, WINDOW, COLUMNS, STRIDE, ACTIVATION, GRADIENT, OUTPUT
using Key = std::array<int, 9>;

std::map<Key, Runner> &cases() {
  static std::map<Key, Runner> all;
  return all;
}

bool list_case(const Key &key, Runner run) {
  cases()[key] = std::move(run);
  return true;
}

const Runner *find_case(const Key &key) {
  const auto found = cases().find(key);
  return found == cases().end() ? nullptr : &found->second;
}

// The parameters as the kernel declares them; the host's have the same layout.
template <class Device, class Host>
Device parameters(const void *host) {
  static_assert(sizeof(Device) == sizeof(Host), "the kernel's parameters are laid out as the host's");
  Device device;
  std::memcpy(static_cast<void *>(&device), host, sizeof(Device));
  return device;
}

}  // namespace

#include "maps_cases.h"

namespace {

void launch(const Runner &which, const char *entry, const Plan &plan, const void *parameters) {
  const auto run = which.at(entry);
  emulator::emulate(
      {unsigned(plan.blocks), unsigned(plan.groups)}, {unsigned(plan.across), unsigned(plan.deep)},
      size_t(plan.shared_bytes), [=] { run(parameters); });
}

// ---- tensors of any element type; they start as NaN

constexpr int64_t bytes_of[] = {4, 2, 2, 8};

struct Tensor {
  int type;
  std::vector<char> bytes;

  Tensor(int type, int64_t count) : type(type), bytes(count * bytes_of[type], char(0xff)) {}
  void set(int64_t at, double value) {
    char *place = bytes.data() + at * bytes_of[type];
    const float narrow = float(value);
    const unsigned short half =
        type == 1 ? emulator::float_to_half(narrow) : type == 2 ? emulator::float_to_bfloat(narrow) : (unsigned short)0;
    if (type == 3) std::memcpy(place, &value, 8);
    if (type == 0) std::memcpy(place, &narrow, 4);
    if (type == 1 || type == 2) std::memcpy(place, &half, 2);
  }
  double get(int64_t at) const {
    const char *place = bytes.data() + at * bytes_of[type];
    double wide;
    float narrow;
    unsigned short half;
    if (type == 3) return std::memcpy(&wide, place, 8), wide;
    if (type == 0) return std::memcpy(&narrow, place, 4), double(narrow);
    std::memcpy(&half, place, 2);
    return type == 1 ? emulator::half_to_float(half) : emulator::bfloat_number(half);
  }
  int64_t count() const { return int64_t(bytes.size()) / bytes_of[type]; }
};

struct Generator {
  uint64_t state = 88172645463325252u;
  double operator()() {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return double(state >> 11) * (2. / 9007199254740992.) - 1.;
  }
};

// Values that a type narrower than the tensor's may hold as well.
Tensor random_tensor(int type, int rounded_to, int64_t count, Generator &random, double level = 0) {
  Tensor tensor(type, count), rounding(rounded_to, 1);
  for (int64_t i = 0; i < count; ++i) {
    rounding.set(0, level + random());
    tensor.set(i, rounding.get(0));
  }
  return tensor;
}

std::vector<double> numbers(const Tensor &tensor) {
  std::vector<double> all(tensor.count());
  for (int64_t i = 0; i < tensor.count(); ++i) all[i] = tensor.get(i);
  return all;
}

double error(const Tensor &got, const std::vector<double> &expected, int64_t from = 0) {
  double largest = 0, off = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double difference = std::fabs(got.get(from + int64_t(i)) - expected[i]);
    if (std::isnan(difference)) return std::nan("");
    largest = std::max(largest, std::fabs(expected[i]));
    off = std::max(off, difference);
  }
  return off / std::max(largest, 1e-300);
}

int real_of(int element) { return element == 3 ? 3 : 0; }

// ---- activations

double value_of(int activation, double z) {
  const double u = 0.7978845608028654 * (z + 0.044715 * z * z * z);
  switch (activation) {
    case 1: return z > 0 ? z : 0;
    case 2: return 0.5 * z * std::erfc(-z * 0.7071067811865476);
    case 3: return 0.5 * z * (1 + std::tanh(u));
    case 4: return z / (1 + std::exp(-z));
    default: return z;
  }
}

double slope_of(int activation, double z) {
  const double u = 0.7978845608028654 * (z + 0.044715 * z * z * z), t = std::tanh(u), s = 1 / (1 + std::exp(-z));
  switch (activation) {
    case 1: return z > 0;
    case 2: return 0.5 * std::erfc(-z * 0.7071067811865476) + z * std::exp(-0.5 * z * z) * 0.3989422804014327;
    case 3: return 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * 0.7978845608028654 * (1 + 0.134145 * z * z);
    case 4: return s * (1 + z * (1 - s));
    default: return 1;
  }
}

constexpr int64_t multiprocessors = 3;  // few, so that small maps keep several blocks and rounds of blocks busy

// ---- depthwise convolutions

struct Convolution {
  int element;
  int64_t batch, channels, height, width, kernel, stride, padding, rows, columns;

  template <class Body>
  void each_tap(Body body) const {
    for (int64_t b = 0; b < batch; ++b)
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < columns; ++c)
          for (int64_t ky = 0; ky < kernel; ++ky)
            for (int64_t kx = 0; kx < kernel; ++kx) {
              const int64_t y = r * stride + ky - padding, x = c * stride + kx - padding;
              if (y < 0 || y >= height || x < 0 || x >= width) continue;
              for (int64_t i = 0; i < channels; ++i) {
                body(((b * rows + r) * columns + c) * channels + i, ((b * height + y) * width + x) * channels + i,
                     (i * kernel + ky) * kernel + kx);
              }
            }
  }

  // y = activation(conv(x)), or dy activation'(conv(x)); with `spreading` the gradient of x of that of the result.
  bool run(Tensor &y, const Tensor &x, const Tensor &weight, const Tensor *bias, const Tensor *dy, int activation,
           bool adds_input, bool spreading) const {
    const int64_t real_bytes = bytes_of[real_of(element)];
    DepthwiseParameters p{};
    p.channels = int32_t(channels), p.flipped = spreading && stride == 1, p.adds_input = adds_input;
    p.height = int32_t(spreading ? rows : height), p.width = int32_t(spreading ? columns : width);
    p.rows = int32_t(spreading ? height : rows), p.columns = int32_t(spreading ? width : columns);
    p.padding = int32_t(spreading && stride == 1 ? kernel - 1 - padding : padding);
    p.x = x.bytes.data(), p.y = y.bytes.data(), p.dy = dy ? dy->bytes.data() : nullptr;
    p.weight = weight.bytes.data(), p.bias = bias ? bias->bytes.data() : nullptr;
    if (has_tiles(kernel, stride, channels, bytes_of[element], 0)) {
      const Runner *found = find_case({4, element, 8, int(kernel), 0, 0, activation, dy ? 1 : 0, 0});
      if (!found) return false;
      launch(*found, "depthwise_tiles", plan_tiles(p, batch, kernel, dy, multiprocessors), &p);
      return true;
    }
    const int32_t vector = stride == 1 ? depthwise_vector(channels, bytes_of[element], 0)
                                       : strided_vector(channels, bytes_of[element], 0, spreading);
    const int32_t across = stride == 1 ? depthwise_columns(kernel, p.columns) : 0;
    const Plan plan = stride == 1 ? plan_strips(p, batch, kernel, vector, across, real_bytes, multiprocessors)
                                  : plan_pixels(p, batch, kernel, vector, real_bytes, multiprocessors);
    const Runner *found = find_case(
        {0, element, vector, int(kernel), across, stride == 1 ? 0 : int(stride), activation, dy ? 1 : 0, 0});
    if (!found) return false;
    launch(*found, stride == 1 ? "depthwise_strips" : spreading ? "depthwise_spread" : "depthwise_pixels", plan, &p);
    return true;
  }

  // The gradients of weight, then of bias.
  bool run_weight(Tensor &gradient, const Tensor &x, const Tensor &dz) const {
    const int real = real_of(element);
    DepthwiseWeightParameters p{};
    p.height = int32_t(height), p.width = int32_t(width), p.rows = int32_t(rows), p.columns = int32_t(columns);
    p.channels = int32_t(channels), p.padding = int32_t(padding);
    const int64_t count = channels * (kernel * kernel + 1);
    const bool strips = stride == 1 && kernel <= 7;
    const bool tiled = has_tiles(kernel, stride, channels, bytes_of[element], 0) && rows <= height && columns <= width;
    const WeightTiles t = weight_tiles_of(kernel, columns, channels);
    const int32_t vector = tiled ? 1 : depthwise_vector(channels, bytes_of[element], 0);
    const int32_t across = !strips || tiled ? 0 : depthwise_columns(kernel, columns);
    const Plan plan = tiled ? plan_weight_tiles(p, batch, t, multiprocessors)
                            : plan_weight(
                                  p, batch, kernel, vector, across, weight_rows(kernel), bytes_of[real], multiprocessors);
    const Runner *adding = find_case({1, element, vector, int(kernel), across, strips || tiled ? 0 : int(stride), 0, 0, 0});
    const Runner *found = tiled ? find_case({5, element, 8, int(kernel), t.tiles, t.groups, 0, 0, 0}) : adding;
    if (!found || !adding) return false;
    const int64_t blocks = plan.blocks / p.tiles;
    Tensor partial(real, blocks * count);
    p.x = x.bytes.data(), p.dz = dz.bytes.data(), p.partial = partial.bytes.data();
    launch(*found, tiled ? "depthwise_weight_tiles" : "depthwise_weight", plan, &p);
    const RowSums sums{partial.bytes.data(), gradient.bytes.data(), blocks, channels};
    launch(*adding, "depthwise_weight_sum", {shares(count, 8), 1, 8, 64, 0}, &sums);
    return true;
  }
};

}  // namespace

extern "C" double emulate_depthwise(
    int element, int batch, int channels, int height, int width, int kernel, int stride, int padding, int activation,
    int adds_input, int which) {
  const Convolution c{element, batch,  channels, height, width, kernel, stride, padding,
                      (height + 2 * padding - kernel) / stride + 1, (width + 2 * padding - kernel) / stride + 1};
  const int64_t before = int64_t(batch) * height * width * channels, after = c.batch * c.rows * c.columns * channels;
  const int64_t taps = int64_t(kernel) * kernel;
  Generator random;
  const int real = real_of(element);
  const Tensor x = random_tensor(element, element, before, random), dy = random_tensor(element, element, after, random);
  const Tensor weight = random_tensor(real, element, channels * taps, random);
  const Tensor bias = random_tensor(real, element, channels, random);
  const std::vector<double> xs = numbers(x), ws = numbers(weight), dys = numbers(dy);

  std::vector<double> z(after), dz(after), dx(before), dweight(channels * taps), dbias(channels);
  for (int64_t i = 0; i < after; ++i) z[i] = bias.get(i % channels) + (adds_input ? xs[i] : 0);
  c.each_tap([&](int64_t to, int64_t from, int64_t tap) { z[to] += xs[from] * ws[tap]; });
  if (which == 0) {
    Tensor y(element, after);
    if (!c.run(y, x, weight, &bias, nullptr, activation, adds_input, false)) return -1;
    for (double &value : z) value = value_of(activation, value);
    return error(y, z);
  }
  for (int64_t i = 0; i < after; ++i) dz[i] = dys[i] * slope_of(activation, z[i]);
  if (adds_input) dx = dz;
  c.each_tap([&](int64_t to, int64_t from, int64_t tap) {
    dx[from] += dz[to] * ws[tap];
    dweight[tap] += dz[to] * xs[from];
  });
  for (int64_t i = 0; i < after; ++i) dbias[i % channels] += dz[i];

  Tensor upstream = dy;
  if (activation) {
    upstream = Tensor(element, after);
    if (!c.run(upstream, x, weight, &bias, &dy, activation, adds_input, false)) return -1;
  }
  if (which == 1) {
    Tensor gradient(element, before);
    if (!c.run(gradient, upstream, weight, nullptr, nullptr, 0, adds_input, true)) return -1;
    return error(gradient, dx);
  }
  Tensor gradients(real, channels * (taps + 1));
  if (!c.run_weight(gradients, x, upstream)) return -1;
  return which == 2 ? error(gradients, dweight) : error(gradients, dbias, channels * taps);
}

// ---- group norm of one group

namespace {

template <class Real>
double check_map_norm(int element, int64_t batch, int64_t channels, int64_t positions, int which, int output) {
  const int real = real_of(element), type = output ? real : element;
  const int64_t size = positions * channels, all = batch * size;
  const double epsilon = 1e-5;
  Generator random;
  // The mean is far from zero, compared with the deviation, where the type is fine enough for that.
  Tensor x = random_tensor(element, element, all, random, element == 0 || element == 3 ? 300 : 1);
  Tensor dy = random_tensor(type, element, all, random);
  const Tensor weight = random_tensor(real, element, channels, random, 2), bias = random_tensor(real, element, channels, random);
  std::vector<double> y(all), dx(all), dweight(channels), dbias(channels);
  for (int64_t b = 0; b < batch; ++b) {
    double mean = 0, squares = 0, along = 0, level = 0;
    for (int64_t i = b * size; i < (b + 1) * size; ++i) mean += x.get(i) / double(size);
    for (int64_t i = b * size; i < (b + 1) * size; ++i) squares += (x.get(i) - mean) * (x.get(i) - mean);
    const double inverse = 1 / std::sqrt(squares / double(size) + epsilon);
    for (int64_t i = b * size; i < (b + 1) * size; ++i) {
      const double normal = (x.get(i) - mean) * inverse, w = weight.get(i % channels);
      y[i] = normal * w + bias.get(i % channels);
      dweight[i % channels] += dy.get(i) * normal, dbias[i % channels] += dy.get(i);
      along += dy.get(i) * w * normal / double(size), level += dy.get(i) * w / double(size);
    }
    for (int64_t i = b * size; i < (b + 1) * size; ++i) {
      dx[i] = inverse * (dy.get(i) * weight.get(i % channels) - level - (x.get(i) - mean) * inverse * along);
    }
  }

  const int32_t vector = vector_of(channels, bytes_of[element], 0, 16);
  const Runner *found = find_case({2, element, vector, 0, 0, 0, 0, 0, output});
  if (!found) return -1;
  Tensor got(type, all), statistics(real, 2 * batch), gradient(element, all);
  MapNormParameters<Real> p{};
  p.x = x.bytes.data(), p.weight = weight.bytes.data(), p.bias = bias.bytes.data();
  p.statistics = statistics.bytes.data(), p.positions = positions, p.channels = int32_t(channels);
  p.epsilon = Real(epsilon), p.y = got.bytes.data();
  p.shares = int32_t(moment_shares(batch, size, vector, multiprocessors));
  Tensor moments(real, batch * p.shares * 3);
  p.partial = moments.bytes.data();
  launch(*found, "map_moments", {batch * p.shares, 1, 256, 1, 0}, &p);
  Plan plan = plan_channels(channels, vector);
  p.blocks = int32_t(norm_blocks(plan, batch, positions, multiprocessors, 6));
  plan.blocks = batch * p.blocks;
  launch(*found, "map_norm", plan, &p);
  if (which == 0) return error(got, y);

  p.y = dy.bytes.data(), p.dx = gradient.bytes.data();
  p.shares = p.blocks;
  Tensor sums(real, batch * p.shares * plan.groups * 2), by_channel(real, batch * p.shares * 2 * channels);
  p.partial = sums.bytes.data(), p.channel_sums = by_channel.bytes.data();
  plan.blocks = batch * p.shares;
  plan.shared_bytes = sums_bytes(plan, vector, bytes_of[real]);
  launch(*found, "map_norm_sums", plan, &p);
  if (which == 1) {
    p.shares *= int32_t(plan.groups);
    plan.blocks = batch * p.blocks;
    launch(*found, "map_norm_backward", plan, &p);
    return error(gradient, dx);
  }
  const Runner *adding = find_case({3, element, vector, 0, 0, 0, 0, 0, 0});
  if (!adding) return -1;
  Tensor gradients(real, 2 * channels);
  const RowSums rows{by_channel.bytes.data(), gradients.bytes.data(), batch * p.shares, 2 * channels};
  launch(*adding, "sum_rows", {shares(2 * channels, 8), 1, 8, 64, 0}, &rows);
  return which == 2 ? error(gradients, dweight) : error(gradients, dbias, channels);
}

}  // namespace

// `which` from 4 on: the same with a result in `real`.
extern "C" double emulate_map_norm(int element, int batch, int channels, int height, int width, int which) {
  const int output = which / 4;
  return element == 3 ? check_map_norm<double>(element, batch, channels, height * width, which % 4, output)
                      : check_map_norm<float>(element, batch, channels, height * width, which % 4, output);
}

// ---- scaled sum: which 0 y, 1 the shortcut's gradient, 2 scale's, 3 offset's; 4 y without scale and offset

extern "C" double emulate_scaled_sum(int element, int batch, int channels, int height, int width, int which) {
  const int64_t pixels = int64_t(batch) * height * width, all = pixels * channels;
  const int real = real_of(element);
  Generator random;
  const Tensor shortcut = random_tensor(element, element, all, random), branch = random_tensor(element, element, all, random);
  const Tensor scale = random_tensor(real, element, channels, random), offset = random_tensor(real, element, channels, random);
  const int32_t vector = vector_of(channels, bytes_of[element], 0, 16);
  const Runner *found = find_case({3, element, vector, 0, 0, 0, 0, 0, 0});
  if (!found) return -1;
  Tensor y(element, all), gradients(real, 2 * channels);
  std::vector<double> expected(all), sums[2] = {std::vector<double>(channels), std::vector<double>(channels)};
  for (int64_t i = 0; i < all; ++i) {
    const int64_t c = i % channels;
    if (which == 4) expected[i] = shortcut.get(i) + branch.get(i);
    if (which == 0) expected[i] = shortcut.get(i) * scale.get(c) + offset.get(c) + branch.get(i);
    if (which == 1) expected[i] = branch.get(i) * scale.get(c);
    sums[0][c] += branch.get(i) * shortcut.get(i), sums[1][c] += branch.get(i);
  }
  ScaledSumParameters p{};
  p.shortcut = shortcut.bytes.data(), p.branch = branch.bytes.data(), p.y = y.bytes.data();
  p.scale = which == 4 ? nullptr : scale.bytes.data(), p.offset = which == 4 ? nullptr : offset.bytes.data();
  p.pixels = pixels, p.channels = channels;
  Plan plan = plan_channels(channels, vector);
  plan.blocks = sharing_blocks(plan, pixels, multiprocessors, 2);
  if (which == 0 || which == 4) {
    launch(*found, "scaled_sum", plan, &p);
    return error(y, expected);
  }
  Tensor partial(real, plan.blocks * 2 * channels);
  p.partial = partial.bytes.data();
  plan.shared_bytes = sums_bytes(plan, vector, bytes_of[real]);
  launch(*found, "scaled_sum_backward", plan, &p);
  if (which == 1) return error(y, expected);
  const RowSums rows{partial.bytes.data(), gradients.bytes.data(), plan.blocks, 2 * channels};
  launch(*found, "sum_rows", {shares(2 * channels, 8), 1, 8, 64, 0}, &rows);
  return error(gradients, sums[which - 2], (which - 2) * channels);
}

// ---- join of three maps, of `channels`, 2 `channels` and `channels` channels; with an order that of a channel shuffle

extern "C" double emulate_join(int element, int pixels, int channels, int ordered, int backward) {
  const int64_t parts[3] = {channels, 2 * channels, channels}, total = 4 * channels;
  Generator random;
  std::vector<Tensor> maps;
  JoinParameters p{};
  p.count = 3, p.pixels = pixels;
  for (int m = 0; m < 3; ++m) {
    maps.push_back(backward ? Tensor(element, pixels * parts[m]) : random_tensor(element, element, pixels * parts[m], random));
    p.first[m + 1] = int32_t(p.first[m] + parts[m]);
  }
  for (int m = 0; m < 3; ++m) p.maps[m] = maps[m].bytes.data();
  Tensor joined = backward ? random_tensor(element, element, pixels * total, random) : Tensor(element, pixels * total);
  std::vector<int32_t> order(total);
  for (int64_t j = 0; j < total; ++j) order[j] = int32_t(ordered ? j % 4 * channels + j / 4 : j);
  const int32_t vector = vector_of(channels, bytes_of[element], 0, 16);
  const Runner *found = find_case({3, element, vector, 0, 0, 0, 0, 0, 0});
  if (!found) return -1;
  p.joined = joined.bytes.data(), p.order = ordered ? order.data() : nullptr;
  const Plan plan = plan_join(p, vector, bytes_of[element], multiprocessors);
  launch(*found, backward ? "join_backward" : "join", plan, &p);
  for (int64_t pixel = 0; pixel < pixels; ++pixel) {
    for (int64_t j = 0; j < total; ++j) {
      int64_t m = 0, channel = order[j];
      while (channel >= parts[m]) channel -= parts[m++];
      const double here = joined.get(pixel * total + j), there = maps[m].get(pixel * parts[m] + channel);
      if (!(here == there)) return 1;
    }
  }
  return 0;
}
