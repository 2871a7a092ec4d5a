// The texts of the kernels, and what they are compiled with.
#include "internal.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

namespace {
const char prelude_text[] = {
#embed "kernels/prelude.cuh"
    , 0};
const char ss2d_general_shared_text[] = {
#embed "kernels/ss2d_general.cuh"
    , 0};
const char ss2d_tile_text[] = {
#embed "kernels/ss2d_tile.cuh"
    , 0};
const char selective_scan_shared_text[] = {
#embed "kernels/selective_scan.cuh"
    , 0};
const char bias_activation_text[] = {
#embed "kernels/bias_activation.cu"
    , 0};
const char depthwise_text[] = {
#embed "kernels/depthwise.cu"
    , 0};
const char depthwise_tiles_text[] = {
#embed "kernels/depthwise_tiles.cu"
    , 0};
const char depthwise_weight_text[] = {
#embed "kernels/depthwise_weight.cu"
    , 0};
const char depthwise_weight_tiles_text[] = {
#embed "kernels/depthwise_weight_tiles.cu"
    , 0};
const char group_softmax_text[] = {
#embed "kernels/group_softmax.cu"
    , 0};
const char map_text[] = {
#embed "kernels/map.cu"
    , 0};
const char map_norm_text[] = {
#embed "kernels/map_norm.cu"
    , 0};
const char selective_scan_text[] = {
#embed "kernels/selective_scan.cu"
    , 0};
const char selective_scan_backward_text[] = {
#embed "kernels/selective_scan_backward.cu"
    , 0};
const char ss2d_backward_text[] = {
#embed "kernels/ss2d_backward.cu"
    , 0};
const char ss2d_backward_general_text[] = {
#embed "kernels/ss2d_backward_general.cu"
    , 0};
const char ss2d_forward_text[] = {
#embed "kernels/ss2d_forward.cu"
    , 0};
const char ss2d_general_text[] = {
#embed "kernels/ss2d_general.cu"
    , 0};
}  // namespace

namespace ccuda {

const std::vector<Header> &headers() {
  static const std::vector<Header> all = {
      {"prelude.cuh", prelude_text},
      {"selective_scan.cuh", selective_scan_shared_text},
      {"ss2d_general.cuh", ss2d_general_shared_text},
      {"ss2d_tile.cuh", ss2d_tile_text},
  };
  return all;
}

const std::vector<Program> &programs() {
  static const std::vector<Program> all = {
      {"bias_activation", bias_activation_text},
      {"depthwise", depthwise_text},
      {"depthwise_tiles", depthwise_tiles_text},
      {"depthwise_weight", depthwise_weight_text},
      {"depthwise_weight_tiles", depthwise_weight_tiles_text},
      {"group_softmax", group_softmax_text},
      {"map", map_text},
      {"map_norm", map_norm_text},
      {"selective_scan", selective_scan_text},
      {"selective_scan_backward", selective_scan_backward_text},
      {"ss2d_backward", ss2d_backward_text},
      {"ss2d_backward_general", ss2d_backward_general_text},
      {"ss2d_forward", ss2d_forward_text},
      {"ss2d_general", ss2d_general_text},
  };
  return all;
}

const Program *find_program(const std::string &name) {
  for (const Program &program : programs()) {
    if (name == program.name) return &program;
  }
  return nullptr;
}

}  // namespace ccuda

using namespace ccuda;

extern "C" {
int32_t ccuda_program_count(void) { return static_cast<int32_t>(programs().size()); }
const char *ccuda_program_name(int32_t index) { return programs()[static_cast<size_t>(index)].name; }
}
