// Operands of emulated kernels: numbers and the elements that they are stored as.
#pragma once
#include <type_traits>

#include "emulator.h"

namespace operands {

// Repeatable numbers in [-1, 1).
struct Generator {
  uint64_t state = 1;
  double operator()() {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return double(state >> 33) / double(1u << 30) - 1;
  }
};

// As the kernels' type; `element` tells float16 (1) from bfloat16 (2), which are both stored as their bits.
template <class T>
T rounded(int element, double v) {
  if constexpr (std::is_same_v<T, unsigned short>) {
    return element == 1 ? float_to_half(float(v)) : float_to_bfloat(float(v));
  } else {
    return T(v);
  }
}
template <class T>
double number(int element, T v) {
  if constexpr (std::is_same_v<T, unsigned short>) {
    return element == 1 ? half_to_float(v) : bits_to_float(unsigned(v) << 16);
  } else {
    return double(v);
  }
}

}  // namespace operands
