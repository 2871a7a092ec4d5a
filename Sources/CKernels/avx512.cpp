#if defined(__x86_64__)
#include "kernel/prelude.h"

#include <immintrin.h>

#pragma clang attribute push( \
    __attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)
#define CSCAN_VARIANT avx512
#define CSCAN_VECTOR_BYTES 64
#define CSCAN_AVX512 1
#include "kernel/body.h"
#pragma clang attribute pop

extern const Variant avx512_variant = avx512::variant("avx512");
#endif
