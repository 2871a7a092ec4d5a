#if defined(__x86_64__)
#include "kernel/prelude.h"

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define CSCAN_VARIANT avx2
#define CSCAN_VECTOR_BYTES 32
#include "kernel/body.h"
#pragma clang attribute pop

extern const Variant avx2_variant = avx2::variant("avx2");
#endif
