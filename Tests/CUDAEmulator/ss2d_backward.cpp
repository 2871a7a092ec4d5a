// The backward pass of the 2-D scan in four directions on the processor, kernel text and all, against the definition of
// CKernels in float64.
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "cscan.h"
#include "cuda_scan2d.h"
#include "emulator.h"
#include "operands.h"

namespace {

using namespace operands;

typedef unsigned short Bits;

// Operands as the kernels read them, what they write, and what the definition makes of the same operands.
struct Case {
  int element, batch, channels, height, width, rank, row;
  int64_t length;
  std::vector<Bits> dy, x, projection, dx, dprojection;
  std::vector<float> weight, bias, a, d, parameters;
  std::vector<double> expected[6];

  Case(int element, int batch, int channels, int height, int width, int rank)
      : element(element), batch(batch), channels(channels), height(height), width(width), rank(rank),
        row((rank + 2 + 7) / 8 * 8), length(int64_t(height) * width) {
    Generator next;
    const auto fill = [&](auto &to, int64_t count, auto make) {
      to.resize(count);
      for (auto &v : to) v = make();
    };
    const auto bits = [&] { return rounded<Bits>(element, next()); };
    fill(dy, batch * length * channels, bits);
    fill(x, batch * length * channels, bits);
    fill(projection, batch * length * 4 * row, bits);
    fill(weight, 4 * channels * rank, [&] { return float(next()); });
    fill(bias, 4 * channels, [&] { return float(2 * next() - 2); });
    fill(a, 4 * channels, [&] { return float(-std::exp(next())); });
    fill(d, 4 * channels, [&] { return float(next()); });
    dx.assign(x.size(), 0xffff);
    dprojection.assign(projection.size(), 0xffff);
    define();
  }

  std::vector<double> rows_of(const std::vector<Bits> &from) const {
    std::vector<double> to;
    for (int image = 0; image < batch; image++)
      for (int k = 0; k < 4; k++)
        for (int r = 0; r < rank + 2; r++)
          for (int64_t p = 0; p < length; p++)
            to.push_back(number(element, from[((image * length + p) * 4 + k) * row + r]));
    return to;
  }
  std::vector<double> numbers(const std::vector<Bits> &from) const {
    std::vector<double> to;
    for (Bits v : from) to.push_back(number(element, v));
    return to;
  }

  void define() {
    std::vector<double> x64 = numbers(x), dy64 = numbers(dy), rows = rows_of(projection);
    const auto wide = [](const std::vector<float> &v) { return std::vector<double>(v.begin(), v.end()); };
    const std::vector<double> weight64 = wide(weight), bias64 = wide(bias), a64 = wide(a), d64 = wide(d);
    const size_t sizes[] = {x.size(), rows.size(), weight.size(), bias.size(), a.size(), d.size()};
    for (int i = 0; i < 6; i++) expected[i].resize(sizes[i]);
    const int64_t last = channels;
    const auto map = [&](double *data) {
      return cscan_tensor{data, CSCAN_FLOAT64, {length * last, 1, width * last, last}};
    };
    const auto packed = [&](double *data) {
      return cscan_tensor{data, CSCAN_FLOAT64, {4 * (rank + 2) * length, length, 1, 0}};
    };
    cscan_ss2d scan{};
    scan.batch = batch, scan.channels = channels, scan.height = height, scan.width = width;
    scan.state = 1, scan.rank = rank;
    scan.x = map(x64.data()), scan.projection = packed(rows.data());
    scan.dt_weight = weight64.data(), scan.dt_bias = bias64.data(), scan.a = a64.data(), scan.d = d64.data();
    cscan_ss2d_gradient gradient{};
    gradient.y = map(dy64.data()), gradient.x = map(expected[0].data());
    gradient.projection = packed(expected[1].data());
    gradient.dt_weight = expected[2].data(), gradient.dt_bias = expected[3].data();
    gradient.a = expected[4].data(), gradient.d = expected[5].data();
    cscan_ss2d_backward(&scan, &gradient, nullptr);
  }

  double error(int which) const {
    std::vector<double> got;
    if (which == 0) got = numbers(dx);
    if (which == 1) {
      got = rows_of(dprojection);
      for (int64_t i = 0; i < batch * length * 4; i++)
        for (int r = rank + 2; r < row; r++)
          if (dprojection[i * row + r] != 0) return std::numeric_limits<double>::infinity();
    }
    if (which >= 2) {
      const int64_t vector = 4 * channels, from = which == 2 ? 0 : vector * (rank + which - 3);
      got.assign(parameters.begin() + from, parameters.begin() + from + (which == 2 ? vector * rank : vector));
    }
    double largest = 0, difference = 0;
    for (size_t i = 0; i < got.size(); i++) {
      const double off = std::fabs(expected[which][i] - got[i]);
      if (std::isnan(off)) return std::numeric_limits<double>::infinity();
      largest = std::max(largest, std::fabs(expected[which][i])), difference = std::max(difference, off);
    }
    return largest == 0 ? difference : difference / largest;
  }
};

template <class Arguments, class Backward, class Rows, class Parameters>
std::array<double, 6> run(
    Case c, int items, int warps, int rings, size_t fixed, int tile_totals, Backward backward, Rows rows,
    Parameters parameters) {
  const ctorch::cuda::scan2d::Plane plane = ctorch::cuda::scan2d::lay_out(c.height, c.width, items);
  const int columns = c.channels / 8, groups = (c.batch + rings - 1) / rings;
  const int pairs = (items + 1) / 2;
  const int64_t fragments = int64_t(4) * warps * pairs * (c.row / 8) * 32;
  // Two launches, the last one with fewer images.
  const int together = (groups + 1) / 2 * rings;
  std::vector<uint2> sums(together * columns * fragments);
  std::vector<float> totals(groups * columns * tile_totals, NAN);
  c.parameters.assign(4 * c.channels * (c.rank + 3), NAN);
  Arguments g{};
  g.dy = c.dy.data(), g.x = c.x.data(), g.projection = c.projection.data();
  g.weight = c.weight.data(), g.bias = c.bias.data(), g.a = c.a.data(), g.d = c.d.data();
  g.dx = c.dx.data(), g.drows = c.dprojection.data(), g.rows = sums.data(), g.totals = totals.data();
  g.parameters = c.parameters.data();
  g.channels = c.channels, g.height = c.height, g.width = c.width, g.pitch = plane.pitch, g.order = plane.order;
  g.dy_image = g.x_image = g.dx_image = c.length * c.channels, g.dy_pixel = g.x_pixel = g.dx_pixel = c.channels;
  g.projection_image = c.length * 4 * c.row;
  const size_t bytes = rings * size_t(4) * c.height * plane.pitch * 16 + fixed;
  for (g.first = 0; g.first < c.batch; g.first += together) {
    g.end = std::min(g.first + together, c.batch);
    sums.assign(sums.size(), {~0u, ~0u});
    const unsigned images = unsigned(g.end - g.first);
    emulator::emulate(
        {unsigned(columns), (images + rings - 1) / rings}, {32u * warps * rings}, bytes, [&] { backward(g); });
    emulator::emulate({unsigned(fragments + 255) / 256, images}, {256}, 0, [&] { rows(g); });
  }
  emulator::emulate({unsigned(columns * tile_totals + 255) / 256}, {256}, 0, [&] { parameters(g, groups); });
  std::array<double, 6> errors;
  for (int which = 0; which < 6; which++) errors[which] = c.error(which);
  return errors;
}

}  // namespace

#define RUN(NAME, items, warps, rings)                                                                        \
  run<NAME::Arguments>(                                                                                       \
      Case(element, batch, channels, height, width, rank), items, warps, rings,                               \
      sizeof(NAME::Parameters) + 2 * warps * rings * (sizeof(NAME::Summary) + sizeof(NAME::Sums)),            \
      NAME::tile_totals, NAME::ss2d_backward, NAME::ss2d_backward_rows, NAME::ss2d_backward_parameters)

#define BLOCKS 1
#define ELEMENT 2
#define RANK 6
#define ITEMS 14
#define WARPS 7
#define RINGS 1
#define WRAP 0
namespace rank6 {
#include "ss2d_backward.cu"
}
#undef ELEMENT
#undef RANK
#undef ITEMS
#undef WARPS
#undef WRAP
#define ELEMENT 1
#define RANK 12
#define ITEMS 7
#define WARPS 3
#define WRAP 1
namespace rank12 {
#include "ss2d_backward.cu"
}
#undef ELEMENT
#undef RANK
#undef WARPS
#undef WRAP
#define ELEMENT 2
#define RANK 20
#define WARPS 4
#define WRAP 0
namespace rank20 {
#include "ss2d_backward.cu"
}
#undef ELEMENT
#undef RANK
#undef WARPS
#undef RINGS
#define ELEMENT 1
#define RANK 32
#define WARPS 1
#define RINGS 2
namespace rank32 {
#include "ss2d_backward.cu"
}

// The largest difference from the definition, over the largest value, of the gradient of x, projection, weight, bias, a
// or d. bfloat16: rank 6 up to 28x28 (sides that 14 divides), 20 up to 14x14 (that 7 divides); half: rank 12 up to 168
// pixels, rank 32 for 7x7. Negative for others.
extern "C" double emulate_ss2d_backward(
    int element, int batch, int channels, int height, int width, int rank, int which) {
  // One run gives all six; tests run at once.
  static thread_local std::array<int, 6> last;
  static thread_local std::array<double, 6> errors;
  const std::array<int, 6> now{element, batch, channels, height, width, rank};
  if (now != last) {
    const int length = height * width;
    const auto divides = [&](int items) { return height % items == 0 && width % items == 0; };
    errors.fill(-1);
    if (element == 2 && rank == 6 && divides(14) && length <= 14 * 56) errors = RUN(rank6, 14, 7, 1);
    if (element == 1 && rank == 12 && length <= 7 * 24) errors = RUN(rank12, 7, 3, 1);
    if (element == 2 && rank == 20 && divides(7) && length <= 7 * 32) errors = RUN(rank20, 7, 4, 1);
    if (element == 1 && rank == 32 && divides(7) && length <= 7 * 8) errors = RUN(rank32, 7, 1, 2);
    last = now;
  }
  return errors[which];
}
