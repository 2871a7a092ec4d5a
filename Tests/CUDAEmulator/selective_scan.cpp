// The kernels of the selective scan against the scan of CKernels in float64.
#include "emulator.h"

#include <algorithm>

#include "cscan.h"

namespace {

// Operands are contiguous and rounded to the kernels' type; d, bias may be empty.
struct Problem {
  int batch, channels, groups, state, length;
  bool softplus;
  bool channels_last;  // of everything but u
  bool states_last;    // of b and c
  int splits;
  std::vector<double> u, delta, a, b, c, d, z, bias, dy;
};

// y, the last state, and the gradients of u, delta, a, b, c, d, z and the bias.
using Results = std::vector<std::vector<double>>;

double rounded(int element, double value) {
  if (element == 1) return emulator::half_to_float(emulator::float_to_half((float)value));
  if (element == 2) return emulator::bfloat_number(emulator::float_to_bfloat((float)value));
  return element == 0 ? (float)value : value;
}

// A tensor [outer, rows, columns] in one of two orders of the last two dimensions, NaN before it is written. The start
// is aligned to 16 bytes.
template <class T>
struct Stored {
  std::vector<T> elements;
  long long outer, row, column;
  T *data;

  Stored(long long count, long long rows, long long columns, bool transposed)
      : elements(count * rows * columns + 16, T(-1)), outer(rows * columns), row(transposed ? 1 : columns),
        column(transposed ? rows : 1) {
    data = elements.data();
    while ((uintptr_t)data % 16) data++;
    // All bits set are a NaN in each of the types.
    std::memset((void *)elements.data(), 0xff, elements.size() * sizeof(T));
  }
  template <class F>
  void each(F f) const {
    const long long columns = row == 1 ? outer / column : row, rows = outer / columns;
    const long long count = ((long long)elements.size() - 16) / outer;
    for (long long i = 0, at = 0; i < count; i++)
      for (long long r = 0; r < rows; r++)
        for (long long c = 0; c < columns; c++) f(at++, data[i * outer + r * row + c * column]);
  }
};

#define SOFTPLUS with_softplus
thread_local bool with_softplus;  // tests run at once

#define WARPS 2
#define BLOCKS 1
#define TILE 16
#define WHOLE 0

#define GATE 0
#include "selective_scan_types.inc"
#undef GATE
#define GATE 1
#include "selective_scan_types.inc"
#undef GATE

Results run(int element, const Problem &p) {
#define RUN(type, states, slices)                    \
  if (element == type && p.state == states * slices) \
    return p.z.empty() ? case_##type##_##states##_##slices##_0::run(p) : case_##type##_##states##_##slices##_1::run(p);
#define RUN_TYPE(type) RUN(type, 1, 1) RUN(type, 3, 1) RUN(type, 16, 1) RUN(type, 8, 2)
  RUN_TYPE(0) RUN_TYPE(1) RUN_TYPE(2) RUN_TYPE(3)
  return {};
}

Results expected(const Problem &p) {
  const long long n = p.u.size(), states = p.b.size(), D = p.channels, L = p.length, N = p.state;
  Results out{std::vector<double>(n), std::vector<double>(p.batch * D * N), std::vector<double>(n),
      std::vector<double>(n), std::vector<double>(p.a.size()), std::vector<double>(states), std::vector<double>(states),
      std::vector<double>(p.d.size()), std::vector<double>(p.z.size()), std::vector<double>(p.bias.size())};
  const auto rows = [&](const std::vector<double> &v) {
    return cscan_tensor{v.empty() ? nullptr : (void *)v.data(), CSCAN_FLOAT64, {D * L, L, 1, 0}};
  };
  const auto coefficients = [&](const std::vector<double> &v) {
    return cscan_tensor{(void *)v.data(), CSCAN_FLOAT64, {p.groups * N * L, N * L, L, 1}};
  };
  const auto parameter = [](const std::vector<double> &v) { return v.empty() ? nullptr : (void *)v.data(); };
  const cscan_selective_scan scan{p.batch, D, p.groups, N, L, p.softplus, rows(p.u), rows(p.delta), coefficients(p.b),
      coefficients(p.c), rows(p.z), parameter(p.a), parameter(p.d), parameter(p.bias)};
  const cscan_selective_scan_gradient gradient{rows(p.dy), rows(out[2]), rows(out[3]), coefficients(out[5]),
      coefficients(out[6]), rows(out[8]), parameter(out[4]), parameter(out[7]), parameter(out[9])};
  if (cscan_selective_scan_forward(&scan, rows(out[0]), out[1].data(), nullptr) != CSCAN_OK ||
      cscan_selective_scan_backward(&scan, &gradient, nullptr) != CSCAN_OK)
    throw std::runtime_error("the scan of CKernels refused the problem");
  return out;
}

}  // namespace

// The largest error of one result relative to the result's largest value. `element` as the macro; `options`: 1
// softplus, 2 D, 4 z, 8 delta bias, 16 channels last, 32 states last, 64 split positions; `which`: 0 y, 1 last state, 2
// to 9 the gradients of u, delta, a, b, c, d, z and the bias. -1 if no kernel of this file has such operands.
extern "C" double emulate_selective_scan(
    int element, int batch, int channels, int groups, int state, int length, int options, int which) {
  unsigned seed = 1;
  const auto fill = [&](std::vector<double> &v, long long count, double low, double high, int type) {
    for (long long i = 0; i < count; i++) {
      seed = seed * 1664525u + 1013904223u;
      v.push_back(rounded(type, low + (high - low) * (seed >> 8) / double(1 << 24)));
    }
  };
  Problem p{};
  p.batch = batch, p.channels = channels, p.groups = groups, p.state = state, p.length = length;
  p.softplus = options & 1, p.channels_last = options & 16, p.states_last = options & 32;
  p.splits = options & 64 ? 3 : 1;
  const long long n = (long long)batch * channels * length, states = (long long)batch * groups * state * length;
  const int plain = element == 3 ? 3 : 0;
  fill(p.u, n, -1, 1, element);
  fill(p.delta, n, p.softplus ? -4 : 0, p.softplus ? 2 : 0.5, element);
  fill(p.a, (long long)channels * state, -2, -0.1, plain);
  fill(p.b, states, -1, 1, element);
  fill(p.c, states, -1, 1, element);
  if (options & 2) fill(p.d, channels, -1, 1, plain);
  if (options & 4) fill(p.z, n, -3, 3, element);
  if (options & 8) fill(p.bias, channels, 0, 0.5, plain);
  fill(p.dy, n, -1, 1, plain);
  const Results results = run(element, p);
  if (results.empty()) return -1;
  const std::vector<double> computed = results[which], exact = expected(p)[which];
  double error = 0, largest = 1e-300;
  for (size_t i = 0; i < exact.size(); i++) {
    if (!(std::fabs(computed[i] - exact[i]) <= error)) error = std::fabs(computed[i] - exact[i]);
    largest = std::max(largest, std::fabs(exact[i]));
  }
  return error / largest;
}
