// The forward pass of the 2-D scan on the processor, kernel text and all, against the definition of CKernels in
// float64.
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "cscan.h"
#include "cuda_scan2d.h"
#include "emulator.h"
#include "operands.h"

namespace {

using namespace ctorch::cuda;
using namespace operands;

struct Shape {
  int element, batch, channels, height, width, state, rank;
  bool channels_last;
  bool overflows;  // time steps beyond what the exponential of a float holds
  int64_t length() const { return int64_t(height) * width; }
  int rows() const { return rank + 2 * state; }
  int row_size() const { return (rows() + 7) / 8 * 8; }
};

// Operands as the kernels read them, and what the definition makes of them. The projection lies as one matrix product
// over pixels leaves it, [B, L, 4, rows filled up to a multiple of 8].
template <class Element, class Real>
struct Case {
  Shape shape;
  std::vector<Element> x, projection;
  std::vector<Real> weight, bias, a, d;
  std::vector<double> expected;
  int64_t x_strides[4], projection_strides[4];

  explicit Case(const Shape &s) : shape(s) {
    Generator next;
    const int64_t length = s.length(), parameters = 4 * int64_t(s.channels);
    const auto fill = [&](auto &to, int64_t count, auto make) {
      to.resize(count);
      for (auto &v : to) v = make();
    };
    fill(x, s.batch * length * s.channels, [&] { return rounded<Element>(s.element, next()); });
    fill(projection, s.batch * length * 4 * s.row_size(), [&] { return rounded<Element>(s.element, next()); });
    fill(weight, parameters * s.rank, [&] { return Real(next()); });
    fill(bias, parameters, [&] { return Real(2 * next() - 2 + (s.overflows ? 130 : 0)); });
    fill(a, parameters * s.state, [&] { return Real(-std::exp(next())); });
    fill(d, parameters, [&] { return Real(next()); });
    const int64_t last[] = {length * s.channels, 1, int64_t(s.width) * s.channels, s.channels};
    const int64_t first[] = {length * s.channels, length, s.width, 1};
    std::copy_n(s.channels_last ? last : first, 4, x_strides);
    const int64_t rows[] = {length * 4 * s.row_size(), s.row_size(), 1, 4 * s.row_size()};
    std::copy_n(rows, 4, projection_strides);
    define();
  }

  void define() {
    const Shape &s = shape;
    std::vector<double> x64, rows;
    for (Element v : x) x64.push_back(number(s.element, v));
    for (int64_t image = 0; image < s.batch; image++)
      for (int k = 0; k < 4; k++)
        for (int r = 0; r < s.rows(); r++)
          for (int64_t p = 0; p < s.length(); p++)
            rows.push_back(number(s.element, projection[image * projection_strides[0] + k * projection_strides[1] + r +
                                                        p * projection_strides[3]]));
    const auto wide = [](const std::vector<Real> &v) { return std::vector<double>(v.begin(), v.end()); };
    const std::vector<double> weight64 = wide(weight), bias64 = wide(bias), a64 = wide(a), d64 = wide(d);
    expected.resize(x.size());
    cscan_ss2d scan{};
    scan.batch = s.batch, scan.channels = s.channels, scan.height = s.height, scan.width = s.width;
    scan.state = s.state, scan.rank = s.rank;
    const auto view = [&](double *data) {
      return cscan_tensor{data, CSCAN_FLOAT64, {x_strides[0], x_strides[1], x_strides[2], x_strides[3]}};
    };
    scan.x = view(x64.data());
    scan.projection = {rows.data(), CSCAN_FLOAT64, {4 * s.rows() * s.length(), s.length(), 1, 0}};
    scan.dt_weight = weight64.data(), scan.dt_bias = bias64.data(), scan.a = a64.data(), scan.d = d64.data();
    cscan_ss2d_forward(&scan, view(expected.data()), nullptr);
  }

  template <class Output>
  double error(const std::vector<Output> &y) const {
    double largest = 0, difference = 0;
    for (size_t i = 0; i < y.size(); i++) {
      const double off = std::fabs(expected[i] - number(shape.element, y[i]));
      if (std::isnan(off)) return std::numeric_limits<double>::infinity();
      largest = std::max(largest, std::fabs(expected[i])), difference = std::max(difference, off);
    }
    return difference / largest;
  }
};

template <class Element, class Real, class Arguments>
Arguments arguments(const Case<Element, Real> &c, void *y) {
  Arguments g{};
  g.x = c.x.data(), g.projection = c.projection.data(), g.weight = c.weight.data(), g.bias = c.bias.data();
  g.a = c.a.data(), g.d = c.d.data(), g.y = y;
  g.channels = c.shape.channels, g.height = c.shape.height, g.width = c.shape.width;
  return g;
}

// The kernel of one state with the macros of its namespace; y in float.
template <class Arguments, int Items, int Warps, int Rings, int Buffers, bool Staged, class Kernel>
double run_one_state(const Shape &s, Kernel kernel) {
  const Case<unsigned short, float> c(s);
  std::vector<float> y(c.x.size(), NAN);
  Arguments g = arguments<unsigned short, float, Arguments>(c, y.data());
  const scan2d::Plane plane = scan2d::lay_out(s.height, s.width, Items);
  g.pitch = plane.pitch, g.tiles = s.batch * s.channels / 8;
  g.length = s.height * s.width, g.chunks = (g.length + 8 * Items - 1) / (8 * Items);
  g.per_height = 1.f / float(s.height), g.per_width = 1.f / float(s.width);
  g.x_image = g.y_image = c.x_strides[0], g.x_pixel = g.y_pixel = s.channels;
  g.projection_image = c.projection_strides[0];
  const unsigned blocks = unsigned(g.tiles + Rings - 1) / Rings;
  scan2d::Rings layout;
  layout.plane = plane, layout.warps = Warps, layout.rings = Rings, layout.buffers = Buffers;
  layout.staged = Staged, layout.chunks = g.chunks;
  const auto bytes = size_t(scan2d::block_bytes(layout, s.height, s.rank));
  emulator::emulate(
      {Buffers == 2 ? (blocks + 1) / 2 : blocks}, {32u * Warps * Rings}, bytes, [&] { kernel(g); });
  return c.error(y);
}

template <class Element, class Real, class Arguments, class Totals, class Carries, class Sums>
double run_general(const Shape &s, Totals totals, Carries carries, Sums sums) {
  const Case<Element, Real> c(s);
  std::vector<Real> y(c.x.size(), NAN);
  Arguments g = arguments<Element, Real, Arguments>(c, y.data());
  const scan2d::Tiles tile = scan2d::tiles(s.height, s.width, s.rank, s.state, sizeof(Real), 160 << 10);
  g.tile_height = tile.height, g.tile_width = tile.width, g.together = tile.together;
  g.down = (s.height + tile.height - 1) / tile.height, g.across = (s.width + tile.width - 1) / tile.width;
  for (int i = 0; i < 4; i++) {
    g.x_strides[i] = g.y_strides[i] = c.x_strides[i], g.projection_strides[i] = c.projection_strides[i];
  }
  const unsigned tasks = unsigned(s.batch * ((s.channels + 31) / 32));
  std::vector<Real> scratch(
      tasks * size_t(2 * (s.height * g.across + s.width * g.down)) * (1 + s.state) * 32,
      std::numeric_limits<Real>::quiet_NaN());
  g.scratch = scratch.data();
  const dim3 block{32u * unsigned(std::max(tile.height, tile.width))}, grid{tasks * unsigned(g.down * g.across)};
  emulator::emulate(grid, block, size_t(tile.bytes), [&] { totals(g); });
  emulator::emulate({tasks * 4 * unsigned(s.state)}, {128}, 4 * 64 * sizeof(Real), [&] { carries(g); });
  emulator::emulate(grid, block, size_t(tile.bytes), [&] { sums(g); });
  return c.error(y);
}

}  // namespace

#define OUTPUT 0
#define BLOCKS 1
#define PREFETCH 0
#define STAGED 1

#define RANK 6
#define ITEMS 7
#define WARPS 3
#define RINGS 1
#define BUFFERS 2
#define WRAP 0
#define ORDER 1
#define ELEMENT 1
namespace ring_half {
#include "ss2d_forward.cu"
}
#undef ELEMENT
#define ELEMENT 2
namespace ring_bfloat {
#include "ss2d_forward.cu"
}
#undef RANK
#undef ITEMS
#undef WARPS
#undef RINGS
#undef BUFFERS
#undef WRAP
#define RANK 12
#define ITEMS 5
#define WARPS 2
#define RINGS 1
#define BUFFERS 1
#define WRAP 1
namespace ring_odd {
#include "ss2d_forward.cu"
}
#undef RANK
#undef WARPS
#undef RINGS
#define RANK 20
#define WARPS 1
#undef ORDER
#define ORDER 2
#define RINGS 2
#undef STAGED
#define STAGED 0
namespace rings_bfloat {
#include "ss2d_forward.cu"
}
#undef ELEMENT
#define ELEMENT 1
#undef PREFETCH
#define PREFETCH 1
namespace rings_half {
#include "ss2d_forward.cu"
}
#undef ELEMENT
#undef RANK

#define RANK 6
#define STATE 1
#define ELEMENT 0
namespace general_float {
#include "ss2d_general.cu"
}
#undef ELEMENT
#define ELEMENT 1
namespace general_half {
#include "ss2d_general.cu"
}
#undef ELEMENT
#define ELEMENT 2
namespace general_bfloat {
#include "ss2d_general.cu"
}
#undef ELEMENT
#define ELEMENT 3
namespace general_double {
#include "ss2d_general.cu"
}
#undef RANK
#undef STATE
#define RANK 19
#define STATE 3
namespace general_double_states {
#include "ss2d_general.cu"
}
#undef ELEMENT
#define ELEMENT 0
namespace general_float_states {
#include "ss2d_general.cu"
}

// The largest error of y relative to its largest value; -1 if no kernel of this file has such operands. `element` is
// the macro ELEMENT, (rank, state) is (6, 1), (20, 1) or (19, 3).
extern "C" double emulate_ss2d_forward(
    int element, int batch, int channels, int height, int width, int state, int rank, int channels_last) {
  Shape s{element, batch, channels, height, width, state, rank, channels_last != 0, false};
  const bool one_state = (element == 1 || element == 2) && state == 1 && channels_last && channels % 8 == 0;
#define ONE_STATE(name, ...) run_one_state<name::Arguments, __VA_ARGS__>(s, name::ss2d_forward)
#define GENERAL(name, element, real) \
  run_general<element, real, name::Arguments>(s, name::ss2d_totals, name::ss2d_carries, name::ss2d_sums)
  const auto twice = [&](auto run) {
    const double error = run();
    s.overflows = true;
    return std::max(error, run());
  };
  if (one_state && rank == 6 && height % 7 == 0 && width % 7 == 0 && height * width > 2 * 56) {
    return twice([&] {
      return element == 1 ? ONE_STATE(ring_half, 7, 3, 1, 2, true) : ONE_STATE(ring_bfloat, 7, 3, 1, 2, true);
    });
  }
  if (one_state && rank == 12 && element == 2) return twice([&] { return ONE_STATE(ring_odd, 5, 2, 1, 1, true); });
  if (one_state && rank == 20) {
    return twice([&] {
      return element == 1 ? ONE_STATE(rings_half, 5, 1, 2, 1, false)
                          : ONE_STATE(rings_bfloat, 5, 1, 2, 1, false);
    });
  }
  if (rank == 6 && state == 1) {
    switch (element) {
      case 0: return GENERAL(general_float, float, float);
      case 1: return GENERAL(general_half, unsigned short, float);
      case 2: return GENERAL(general_bfloat, unsigned short, float);
      default: return GENERAL(general_double, double, double);
    }
  }
  if (rank == 19 && state == 3 && element == 0) return GENERAL(general_float_states, float, float);
  if (rank == 19 && state == 3 && element == 3) return GENERAL(general_double_states, double, double);
  return -1;
}
