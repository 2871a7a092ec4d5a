#include "machine.h"

#include <string.h>

// Independent chains hide the latency of a multiply-add; an empty assembly statement keeps the compiler from folding them.
#define MULTIPLY_ADDS(name, attributes, bytes)                                                       \
  typedef float name##_vector __attribute__((vector_size(bytes)));                                   \
  attributes static int64_t name(int64_t rounds) {                                                   \
    name##_vector sum[16], factor = {0}, term = {0};                                                 \
    for (int i = 0; i < 16; i++) sum[i] = (name##_vector){0};                                        \
    for (int64_t round = 0; round < rounds; round++) {                                               \
      _Pragma("clang loop unroll(full)") for (int i = 0; i < 16; i++) {                              \
        sum[i] = sum[i] * factor + term;                                                             \
        __asm__ volatile("" : "+" REGISTER(sum[i]));                                                 \
      }                                                                                              \
    }                                                                                                \
    return rounds * 16 * (bytes / 4);                                                                \
  }

#if defined(__x86_64__)
#define REGISTER(value) "v"(value)
MULTIPLY_ADDS(avx512, __attribute__((target("avx512f"))), 64)
MULTIPLY_ADDS(avx2, __attribute__((target("avx2,fma"))), 32)
#else
#define REGISTER(value) "w"(value)
#endif
MULTIPLY_ADDS(portable, , 16)

int64_t machine_multiply_adds(const char *capability, int64_t rounds) {
#if defined(__x86_64__)
  if (strcmp(capability, "avx512") == 0) return avx512(rounds);
  if (strcmp(capability, "avx2") == 0) return avx2(rounds);
#endif
  return portable(rounds);
}
