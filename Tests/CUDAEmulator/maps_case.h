// Puts the text of a kernel file, compiled with the macros that are defined, into the list of cases of `maps.cpp`, and takes
// the macros back. No include guard: it is included once for every configuration. PROGRAM is 0 for depthwise.cu, 1 for
// depthwise_weight.cu, 2 for map_norm.cu, 3 for map.cu,
// 4 for depthwise_tiles.cu, 5 for depthwise_weight_tiles.cu.

#ifndef ACTIVATION
#define ACTIVATION 0
#endif
#ifndef GRADIENT
#define GRADIENT 0
#endif
#ifndef OUTPUT
#define OUTPUT 0
#endif
#ifndef WINDOW
#define WINDOW 0
#endif
#if PROGRAM == 4
#define CASE_STRIDE 0
#define CASE_COLUMNS 0
#define VECTOR 8
#elif PROGRAM == 5
#define CASE_STRIDE GROUPS
#define CASE_COLUMNS TILES
#define VECTOR 8
#else
#if defined(STRIDE) && WINDOW > 0
#define CASE_STRIDE STRIDE
#else
#define CASE_STRIDE 0
#endif
#ifdef COLUMNS
#define CASE_COLUMNS COLUMNS
#else
#define CASE_COLUMNS 0
#endif
#endif

#define CASE_NAME(counter) CASE_NAME_OF(counter)
#define CASE_NAME_OF(counter) case_##counter

namespace {
namespace CASE_NAME(__COUNTER__) {
#if PROGRAM == 0
#include "depthwise.cu"
#elif PROGRAM == 1
#include "depthwise_weight.cu"
#elif PROGRAM == 2
#include "map_norm.cu"
#elif PROGRAM == 3
#include "map.cu"
#elif PROGRAM == 4
#include "depthwise_tiles.cu"
#else
#include "depthwise_weight_tiles.cu"
#endif

Runner runners() {
  Runner run;
#if PROGRAM == 0 && CASE_COLUMNS > 0
  run["depthwise_strips"] = [](const void *p) { depthwise_strips(parameters<Depthwise, DepthwiseParameters>(p)); };
#endif
#if PROGRAM == 0 && CASE_STRIDE > 0
  run["depthwise_pixels"] = [](const void *p) { depthwise_pixels(parameters<Depthwise, DepthwiseParameters>(p)); };
  run["depthwise_spread"] = [](const void *p) { depthwise_spread(parameters<Depthwise, DepthwiseParameters>(p)); };
#endif
#if PROGRAM == 1
#if CASE_COLUMNS == 0 && CASE_STRIDE == 0
  // depthwise_weight_sum alone
#elif CASE_COLUMNS > 0
  run["depthwise_weight"] = [](const void *p) {
    depthwise_weight_strips(parameters<DepthwiseWeight, DepthwiseWeightParameters>(p));
  };
#else
  run["depthwise_weight"] = [](const void *p) {
    depthwise_weight_pixels(parameters<DepthwiseWeight, DepthwiseWeightParameters>(p));
  };
#endif
  run["depthwise_weight_sum"] = [](const void *p) {
    const auto &s = *static_cast<const RowSums *>(p);
    depthwise_weight_sum((const real *)s.partial, (real *)s.sums, (int)s.rows, (int)s.count);
  };
#endif
#if PROGRAM == 2
  using Host = MapNormParameters<real>;
  run["map_moments"] = [](const void *p) { map_moments(parameters<MapNorm, Host>(p)); };
  run["map_norm"] = [](const void *p) { map_norm(parameters<MapNorm, Host>(p)); };
  run["map_norm_sums"] = [](const void *p) { map_norm_sums(parameters<MapNorm, Host>(p)); };
  run["map_norm_backward"] = [](const void *p) { map_norm_backward(parameters<MapNorm, Host>(p)); };
#endif
#if PROGRAM == 3
  run["scaled_sum"] = [](const void *p) { scaled_sum(parameters<ScaledSum, ScaledSumParameters>(p)); };
  run["scaled_sum_backward"] = [](const void *p) { scaled_sum_backward(parameters<ScaledSum, ScaledSumParameters>(p)); };
  run["join"] = [](const void *p) { join(parameters<Join, JoinParameters>(p)); };
  run["join_backward"] = [](const void *p) { join_backward(parameters<Join, JoinParameters>(p)); };
  run["sum_rows"] = [](const void *p) {
    const auto &s = *static_cast<const RowSums *>(p);
    sum_rows((const real *)s.partial, (real *)s.sums, s.rows, s.count);
  };
#endif
#if PROGRAM == 5
  run["depthwise_weight_tiles"] = [](const void *p) {
    depthwise_weight_tiles(parameters<DepthwiseWeight, DepthwiseWeightParameters>(p));
  };
#endif
#if PROGRAM == 4
  run["depthwise_tiles"] = [](const void *p) { depthwise_tiles(parameters<Depthwise, DepthwiseParameters>(p)); };
#endif
  return run;
}

const bool listed = list_case(
    {PROGRAM, ELEMENT, VECTOR, WINDOW, CASE_COLUMNS, CASE_STRIDE, ACTIVATION, GRADIENT, OUTPUT}, runners());
}  // namespace
}  // namespace

#undef PROGRAM
#undef ELEMENT
#undef VECTOR
#undef WINDOW
#undef COLUMNS
#undef STRIDE
#undef ROWS
#undef TILES
#undef GROUPS
#undef PARTS
#undef SPLIT
#undef ACTIVATION
#undef GRADIENT
#undef OUTPUT
#undef CASE_STRIDE
#undef CASE_COLUMNS
#undef CASE_NAME
#undef CASE_NAME_OF
#undef TAPS
#undef SPAN
#undef HELD
#undef RESIDENT
#undef RECORD
#undef LOG2_E
#undef BATCH
#undef MOST_MAPS
#undef WIDE
#undef ACROSS
#undef PITCH
#undef LINE
#undef STAGES
#undef RESULT_PITCH
#undef RESULT_LINE
#undef WARPS
#undef BAND
#undef KEYS
#undef X_PITCH
#undef DZ_PITCH
#undef X_RING
#undef DZ_RING
