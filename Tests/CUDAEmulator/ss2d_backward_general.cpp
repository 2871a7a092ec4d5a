// The general backward pass of the 2-D scan on the processor, kernel text and all, against CKernels in float64.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "cscan.h"
#include "cuda_scan2d_backward.h"
#include "emulator.h"
#include "operands.h"

namespace {

using namespace ctorch::cuda;
using namespace operands;

struct Shape {
  int element, batch, channels, height, width, state, rank;
  int64_t length() const { return int64_t(height) * width; }
  int rows() const { return rank + 2 * state; }
  int row_size() const { return (rows() + 7) / 8 * 8; }
};

// Operands, and gradients by the definition. The maps lie channels last in even batches, else channels first; rows of
// the projection lie pixel by pixel, filled up to a multiple of 8.
template <class Element, class Real>
struct Case {
  Shape shape;
  std::vector<Element> dy, x, projection;
  std::vector<Real> weight, bias, a, d;
  std::vector<double> expected[6];  // those of the projection lie as the projection does
  int64_t map_strides[4], projection_strides[4];

  explicit Case(const Shape &s) : shape(s) {
    Generator next;
    const int64_t length = s.length(), parameters = 4 * int64_t(s.channels);
    const auto fill = [&](auto &to, int64_t count, auto make) {
      to.resize(size_t(count));
      for (auto &v : to) v = make();
    };
    fill(dy, s.batch * length * s.channels, [&] { return rounded<Element>(s.element, next()); });
    fill(x, s.batch * length * s.channels, [&] { return rounded<Element>(s.element, next()); });
    fill(projection, s.batch * length * 4 * s.row_size(), [&] { return rounded<Element>(s.element, next()); });
    fill(weight, parameters * s.rank, [&] { return Real(next()); });
    fill(bias, parameters, [&] { return Real(2 * next() - 2); });
    fill(a, parameters * s.state, [&] { return Real(-std::exp(next())); });
    fill(d, parameters, [&] { return Real(next()); });
    const int64_t last[] = {length * s.channels, 1, int64_t(s.width) * s.channels, s.channels};
    const int64_t first[] = {length * s.channels, length, s.width, 1};
    std::copy_n(s.batch % 2 == 0 ? last : first, 4, map_strides);
    const int64_t rows[] = {length * 4 * s.row_size(), s.row_size(), 1, 4 * s.row_size()};
    std::copy_n(rows, 4, projection_strides);
    define();
  }

  template <class Visit>
  void for_rows(Visit visit) const {
    const Shape &s = shape;
    int64_t i = 0;
    for (int image = 0; image < s.batch; image++)
      for (int r = 0; r < 4 * s.rows(); r++)
        for (int64_t p = 0; p < s.length(); p++, i++)
          visit(size_t(i), size_t(image * projection_strides[0] + r / s.rows() * projection_strides[1] +
                                  r % s.rows() * projection_strides[2] + p * projection_strides[3]));
  }

  void define() {
    const Shape &s = shape;
    const auto wide = [&](const auto &v) {
      std::vector<double> to;
      for (auto value : v) to.push_back(number(s.element, value));
      return to;
    };
    const auto real = [](const std::vector<Real> &v) { return std::vector<double>(v.begin(), v.end()); };
    std::vector<double> dy64 = wide(dy), x64 = wide(x);
    std::vector<double> rows(size_t(s.batch * 4 * s.rows() * s.length())), drows(rows.size());
    for_rows([&](size_t i, size_t from) { rows[i] = number(s.element, projection[from]); });
    const std::vector<double> weight64 = real(weight), bias64 = real(bias), a64 = real(a), d64 = real(d);
    const size_t sizes[] = {x.size(), projection.size(), weight.size(), bias.size(), a.size(), d.size()};
    for (int i = 0; i < 6; i++) expected[i].assign(sizes[i], 0);
    const auto map = [&](double *data) {
      return cscan_tensor{data, CSCAN_FLOAT64, {map_strides[0], map_strides[1], map_strides[2], map_strides[3]}};
    };
    const auto projected = [&](double *data) {
      return cscan_tensor{data, CSCAN_FLOAT64, {4 * s.rows() * s.length(), s.length(), 1, 0}};
    };
    const cscan_ss2d scan{
        s.batch, s.channels, s.height, s.width, s.state, s.rank, map(x64.data()), projected(rows.data()),
        weight64.data(), bias64.data(), a64.data(), d64.data()};
    const cscan_ss2d_gradient gradient{
        map(dy64.data()), map(expected[0].data()), projected(drows.data()), expected[2].data(), expected[3].data(),
        expected[4].data(), expected[5].data()};
    cscan_ss2d_backward(&scan, &gradient, nullptr);
    for_rows([&](size_t i, size_t to) { expected[1][to] = drows[i]; });
  }
};

template <
    class Element, class Real, class Arguments, class Shared, class Totals, class Carries, class Gradients, class Rows>
double run(
    const Shape &s, int which, int side, int together, Totals totals, Carries carries, Gradients gradients,
    Rows add_rows) {
  const Case<Element, Real> c(s);
  const Real nan = std::numeric_limits<Real>::quiet_NaN();
  const scan2d::BackwardPlan plan = scan2d::backward_plan(
      s.batch, s.channels, s.height, s.width, s.rank, s.state, sizeof(Real), 220 << 10, 132, side);
  const auto bytes = size_t(scan2d::backward_bytes(side, together, s.rank, s.state, sizeof(Real)));
  if (bytes != sizeof(Shared)) return std::numeric_limits<double>::infinity();
  Arguments g{};
  g.parts = (s.batch + 1) / 2, g.groups = std::min(plan.down * plan.across, 2);
  g.splits = int(std::min<int64_t>(plan.columns, 2));
  std::vector<Real> dy(c.dy.size());
  std::transform(c.dy.begin(), c.dy.end(), dy.begin(), [&](Element v) { return Real(number(s.element, v)); });
  std::vector<Element> dx(c.x.size(), rounded<Element>(s.element, NAN)), dprojection(c.projection.size(), Element(0));
  std::vector<Real> scratch(size_t(s.batch * plan.scratch_size), nan);
  std::vector<Real> rows(size_t(s.batch * g.splits * plan.rows_size), nan);
  std::vector<Real> sums(size_t(g.parts * g.groups * plan.parameters_size), nan);
  if constexpr (std::is_same_v<decltype(g.dy), const Real *>) {
    g.dy = dy.data();
  } else {
    g.dy = c.dy.data();
  }
  g.x = c.x.data(), g.projection = c.projection.data(), g.weight = c.weight.data();
  g.bias = c.bias.data(), g.a = c.a.data(), g.d = c.d.data(), g.dx = dx.data(), g.dprojection = dprojection.data();
  g.scratch = scratch.data(), g.rows = rows.data(), g.parameters = sums.data();
  g.channels = s.channels, g.height = s.height, g.width = s.width;
  g.down = plan.down, g.across = plan.across;
  g.images = s.batch;
  for (int i = 0; i < 4; i++) {
    g.dy_strides[i] = g.x_strides[i] = g.dx_strides[i] = c.map_strides[i];
    g.projection_strides[i] = g.dprojection_strides[i] = c.projection_strides[i];
  }
  const unsigned tasks = unsigned(s.batch * plan.columns), threads = 32u * unsigned(side);
  emulator::emulate(
      {tasks * unsigned(g.down * g.across)}, {threads}, bytes, [&] { totals(g); });
  emulator::emulate(
      {tasks * 8 * unsigned(s.state)}, {32u * unsigned(plan.carry_warps)}, size_t(plan.carry_warps) * 64 * sizeof(Real),
      [&] { carries(g); });
  emulator::emulate(
      {unsigned(g.parts * g.splits * g.groups)}, {threads}, bytes, [&] { gradients(g); });
  emulator::emulate({unsigned((s.batch * plan.rows_size + 255) / 256)}, {256}, 0, [&] { add_rows(g); });

  std::vector<double> found;
  if (which == 0) for (Element v : dx) found.push_back(number(s.element, v));
  if (which == 1) for (Element v : dprojection) found.push_back(number(s.element, v));
  if (which >= 2) {
    const int64_t all = 4 * s.channels, sizes[] = {all * s.rank, all, all * s.state, all};
    int64_t begin = 0;
    for (int i = 2; i < which; i++) begin += sizes[i - 2];
    for (int64_t i = begin; i < begin + sizes[which - 2]; i++) {
      double sum = 0;
      for (int64_t part = 0; part < g.parts * g.groups; part++) sum += sums[size_t(part * plan.parameters_size + i)];
      found.push_back(sum);
    }
  }
  const std::vector<double> &expected = c.expected[which];
  double largest = 0, difference = 0;
  for (size_t i = 0; i < expected.size(); i++) {
    const double off = std::fabs(expected[i] - found[i]);
    if (std::isnan(off)) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, std::fabs(expected[i])), difference = std::max(difference, off);
  }
  return largest > 0 ? difference / largest : difference;
}

}  // namespace

#define BLOCKS 1
#define OUTPUT 1

#define RANK 6
#define STATE 1
#define SIDE 7
#define TOGETHER 4
#define ELEMENT 0
namespace backward_float {
#include "ss2d_backward_general.cu"
}
#undef ELEMENT
#define ELEMENT 1
namespace backward_half {
#include "ss2d_backward_general.cu"
}
#undef ELEMENT
#define ELEMENT 2
#undef OUTPUT
#define OUTPUT 0
namespace backward_bfloat {
#include "ss2d_backward_general.cu"
}
#undef ELEMENT
#define ELEMENT 3
namespace backward_double {
#include "ss2d_backward_general.cu"
}
#undef RANK
#undef STATE
#undef SIDE
#undef TOGETHER
#define TOGETHER 1
#define RANK 19
#define STATE 3
#define SIDE 4
namespace backward_double_states {
#include "ss2d_backward_general.cu"
}
#undef ELEMENT
#undef SIDE
#define SIDE 9
#define ELEMENT 0
namespace backward_float_states {
#include "ss2d_backward_general.cu"
}
#undef SIDE
#undef RANK
#undef STATE
#define SIDE 1
#define RANK 2
#define STATE 16
namespace backward_float_pixel {
#include "ss2d_backward_general.cu"
}

// The largest error of a gradient (0 x, 1 projection, 2 weight, 3 bias, 4 a, 5 d) relative to its largest value; -1 if
// no kernel of this file has such operands. `element` is the macro ELEMENT, (rank, state) is (6, 1), (19, 3) or (2,
// 16).
extern "C" double emulate_ss2d_backward_general(
    int element, int batch, int channels, int height, int width, int state, int rank, int which) {
  const Shape s{element, batch, channels, height, width, state, rank};
#define RUN(name, side, element, real)                                                               \
  run<element, real, name::Arguments, name::Shared>(                                                 \
      s, which, side, rank == 6 ? 4 : 1, name::ss2d_backward_totals, name::ss2d_backward_carries,    \
      name::ss2d_backward_gradients, name::ss2d_backward_rows)
  if (rank == 6 && state == 1) {
    switch (element) {
      case 0: return RUN(backward_float, 7, float, float);
      case 1: return RUN(backward_half, 7, unsigned short, float);
      case 2: return RUN(backward_bfloat, 7, unsigned short, float);
      default: return RUN(backward_double, 7, double, double);
    }
  }
  if (rank == 19 && state == 3 && element == 0) return RUN(backward_float_states, 9, float, float);
  if (rank == 19 && state == 3 && element == 3) return RUN(backward_double_states, 4, double, double);
  if (rank == 2 && state == 16 && element == 0) return RUN(backward_float_pixel, 1, float, float);
  return -1;
}
