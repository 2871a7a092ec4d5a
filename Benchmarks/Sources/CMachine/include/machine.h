#ifndef MACHINE_H
#define MACHINE_H
#include <stdint.h>

// Runs `rounds` times 16 independent vector multiply-adds of the instruction set ("avx512", "avx2", else the compiler's
// own) on this thread, without touching memory. Returns how many scalar multiply-adds that is.
int64_t machine_multiply_adds(const char *capability, int64_t rounds);

#endif
