// Runs emulated kernels whose threads share memory in small sizes for Scripts/races: rings of several warps, lines that wrap,
// blocks of several rings, maps of several tiles. The softmax of groups has no emulation.
#include <cstdio>

#include "cuda_emulations.h"

static int failures = 0;

static void check(const char *name, double error, double tolerance) {
  const bool right = error >= 0 && error <= tolerance;
  std::printf("%-44s error %.1e%s\n", name, error, right ? "" : ": wrong");
  std::fflush(stdout);
  if (!right) failures++;
}

int main() {
  enum { float32, float16, bfloat16 };
  check("2-D scan, rings of 3 warps, 28x28", emulate_ss2d_forward(bfloat16, 3, 16, 28, 28, 1, 6, 1), 1e-5);
  check("2-D scan, rings of 3 warps, 56x56", emulate_ss2d_forward(float16, 3, 16, 56, 56, 1, 6, 1), 1e-5);
  check("2-D scan, lines that wrap, 9x13", emulate_ss2d_forward(bfloat16, 2, 16, 9, 13, 1, 12, 1), 1e-5);
  check("2-D scan, rings of a warp, 9x11", emulate_ss2d_forward(float16, 3, 16, 9, 11, 1, 20, 1), 1e-5);
  check("2-D scan, general, 33x9", emulate_ss2d_forward(float32, 1, 12, 33, 9, 3, 19, 0), 1e-5);
  check("its gradients, 14x14", emulate_ss2d_backward(bfloat16, 2, 16, 14, 14, 6, 1), 2e-2);
  check("its gradients, lines that wrap, 5x9", emulate_ss2d_backward(float16, 3, 8, 5, 9, 12, 0), 5e-3);
  check("its gradients, rings of a block, 7x7", emulate_ss2d_backward(float16, 3, 16, 7, 7, 32, 1), 5e-3);
  check("its gradients, general, 9x10", emulate_ss2d_backward_general(float32, 2, 33, 9, 10, 1, 6, 2), 1e-4);
  check("selective scan", emulate_selective_scan(float32, 2, 6, 2, 1, 37, 15, 0), 1e-5);
  check("its gradients", emulate_selective_scan(float32, 2, 6, 2, 1, 37, 15, 4), 1e-4);
  check("depthwise 3x3", emulate_depthwise(bfloat16, 2, 16, 14, 14, 3, 1, 1, 2, 1, 0), 1.5e-2);
  check("its weight's gradient", emulate_depthwise(bfloat16, 2, 16, 14, 14, 3, 1, 1, 2, 1, 2), 3e-2);
  check("norm of a map", emulate_map_norm(bfloat16, 2, 16, 7, 7, 0), 1.5e-2);
  check("its gradient", emulate_map_norm(bfloat16, 2, 16, 7, 7, 1), 3e-2);
  return failures > 0;
}
