// Runs the text of a CUDA kernel on the processor, one block after the other, every thread of a block as a fiber, so that
// kernels are compared with definitions on machines without a GPU. What it shows: indices, barriers that not all threads
// reach (an error), results. What it does not: memory ordering, speed. Arithmetic of special functions is exact here.
// Built with the thread sanitizer, which sees a thread in each fiber and what orders them in barriers alone (no shuffle orders
// memory), it finds accesses of a block's threads that nothing orders: Scripts/races.
//
// usage: #include "emulator.h", then inside a namespace of its own per configuration: the kernel's macros and its text;
// then emulate({grid}, {block}, shared_bytes, [&] { kernel(arguments); });
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include <ucontext.h>

struct float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct double2 { double x, y; };
struct uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct dim3 { unsigned x = 1, y = 1, z = 1; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline int2 make_int2(int x, int y) { return {x, y}; }

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__
#define __restrict__
#define __launch_bounds__(...)
#define __shared__ static thread_local
#define __constant__ static
#define __align__(n) alignas(n)
#define __grid_constant__
#define DEVICE inline
#define KERNEL inline void
#define SHARED_MEMORY(type, name) type *const name = (type *)emulator::machine.shared.data()

#if __has_feature(thread_sanitizer)
extern "C" {
void *__tsan_create_fiber(unsigned);
void *__tsan_get_current_fiber(void);
void __tsan_switch_to_fiber(void *, unsigned);
void __tsan_acquire(void *);
void __tsan_release(void *);
}
#define EMULATOR_ONLY __attribute__((no_sanitize("thread"), noinline))
#else
#define EMULATOR_ONLY
#endif

namespace emulator {

// What happened before an arrival happened before what follows the wait. Each time has a place of its own, so that arrivals
// of the next time order nothing of this one.
struct Barrier {
  int arrived = 0, generation = 0;
  char times[32];
  EMULATOR_ONLY void before() {
#if __has_feature(thread_sanitizer)
    __tsan_release(&times[generation % 32]);
#endif
  }
  EMULATOR_ONLY void after([[maybe_unused]] int time) {
#if __has_feature(thread_sanitizer)
    __tsan_acquire(&times[time % 32]);
#endif
  }
};

struct Thread {
  ucontext_t context;
#if __has_feature(thread_sanitizer)
  void *fiber = __tsan_create_fiber(0);
#endif
  std::vector<char> stack;
  dim3 index;
  int number = 0;
  bool done = false;
};

struct Machine {
  dim3 grid, block, block_index;
  std::vector<Thread> threads;
  std::vector<Barrier> warps;        // one a warp
  std::vector<Barrier> barriers;     // 16 a block
  std::vector<uint64_t> exchange;    // two slots of 32 a warp
  std::vector<char> shared;
  ucontext_t scheduler;
#if __has_feature(thread_sanitizer)
  void *fiber = __tsan_get_current_fiber();
#endif
  Barrier launch, finish;            // of a block
  int current = 0;
  int alive = 0;
  long idle = 0;                     // switches since something last moved
  std::function<void()> body;
};
inline thread_local Machine machine;  // tests run at once, each on a thread of its own

EMULATOR_ONLY inline void leave(Thread &thread) {
#if __has_feature(thread_sanitizer)
  __tsan_switch_to_fiber(machine.fiber, 1);  // which orders nothing
#endif
  swapcontext(&thread.context, &machine.scheduler);
}
EMULATOR_ONLY inline void yield() { leave(machine.threads[machine.current]); }

EMULATOR_ONLY inline void wait(Barrier &barrier, int count, bool orders = true) {
  const int generation = barrier.generation;
  if (orders) barrier.before();
  if (++barrier.arrived == count) {
    barrier.arrived = 0;
    barrier.generation++;
    machine.idle = 0;
  }
  while (barrier.generation == generation) {
    if (++machine.idle > 64 * (long)machine.threads.size() + 100000) {
      std::fprintf(stderr, "emulator: block (%u, %u, %u): not all threads reach a barrier\n", machine.block_index.x, machine.block_index.y, machine.block_index.z);
      std::abort();
    }
    yield();
  }
  if (orders) barrier.after(generation);
}

EMULATOR_ONLY inline void arrive(Barrier &barrier, int count) {
  barrier.before();
  if (++barrier.arrived < count) return;
  barrier.arrived = 0;
  barrier.generation++;
  machine.idle = 0;
}

EMULATOR_ONLY inline int lane() { return machine.current % 32; }
EMULATOR_ONLY inline int lanes() {  // of this warp
  const int first = machine.current / 32 * 32, all = (int)machine.threads.size();
  return all - first < 32 ? all - first : 32;
}
EMULATOR_ONLY inline void warp_wait(bool orders = true) { wait(machine.warps[machine.current / 32], lanes(), orders); }

// Every lane gives a value and reads that of another.
template <class T>
EMULATOR_ONLY inline T exchange(T value, int from) {
  static_assert(sizeof(T) <= 8, "at most 8 bytes");
  uint64_t *slots = &machine.exchange[machine.current / 32 * 32];
  warp_wait(false);
  slots[lane()] = 0;
  __builtin_memcpy(&slots[lane()], &value, sizeof(T));
  warp_wait(false);
  T result;
  __builtin_memcpy(&result, &slots[from], sizeof(T));
  warp_wait(false);
  return result;
}

EMULATOR_ONLY inline void entry() {
  machine.launch.after(0);
  Thread &self = machine.threads[machine.current];
  machine.body();
  self.done = true;
  machine.alive--;
  machine.idle = 0;
  machine.finish.before();
  while (true) leave(self);
}

EMULATOR_ONLY inline void run_block() {
  Machine &m = machine;
  const int count = (int)(m.block.x * m.block.y * m.block.z);
  if ((int)m.threads.size() != count) m.threads = std::vector<Thread>(count);
  m.warps.assign((count + 31) / 32, {});
  m.barriers.assign(16, {});
  m.exchange.assign((count + 31) / 32 * 32, 0);
  m.alive = count;
  m.idle = 0;
  for (int i = 0; i < count; i++) {
    Thread &t = m.threads[i];
    t.done = false;
    t.number = i;
    t.index = {i % m.block.x, i / m.block.x % m.block.y, i / (m.block.x * m.block.y)};
    if (t.stack.empty()) t.stack.resize(256 << 10);
    getcontext(&t.context);
    t.context.uc_stack.ss_sp = t.stack.data();
    t.context.uc_stack.ss_size = t.stack.size();
    t.context.uc_link = nullptr;
    makecontext(&t.context, entry, 0);
  }
  m.launch.before();
  while (m.alive > 0) {
    for (int i = 0; i < count; i++) {
      if (m.threads[i].done) continue;
      m.current = i;
      Thread &t = m.threads[i];
#if __has_feature(thread_sanitizer)
      __tsan_switch_to_fiber(t.fiber, 1);
#endif
      swapcontext(&m.scheduler, &t.context);
    }
  }
  m.finish.after(0);
}

// Runs `body`, the call of a kernel, for every thread of every block. Shared memory starts as NaN in every block.
inline void emulate(dim3 grid, dim3 block, size_t shared_bytes, std::function<void()> body) {
  Machine &m = machine;
  m.grid = grid;
  m.block = block;
  m.body = std::move(body);
  for (unsigned z = 0; z < grid.z; z++)
    for (unsigned y = 0; y < grid.y; y++)
      for (unsigned x = 0; x < grid.x; x++) {
        m.block_index = {x, y, z};
        m.shared.assign(shared_bytes + 16, (char)0xff);
        run_block();
      }
}

inline float half_to_float(unsigned short bits) {
  const unsigned sign = (bits & 0x8000u) << 16, exponent = (bits >> 10) & 31, mantissa = bits & 1023;
  if (exponent == 0) return std::copysign(std::ldexp((float)mantissa, -24), sign ? -1.f : 1.f);
  const unsigned out = exponent == 31 ? sign | 0x7f800000u | mantissa << 13 : sign | (exponent + 112) << 23 | mantissa << 13;
  float value;
  std::memcpy(&value, &out, 4);
  return value;
}
inline unsigned short float_to_half(float value) {
  unsigned bits;
  std::memcpy(&bits, &value, 4);
  const unsigned sign = bits >> 16 & 0x8000u;
  if (std::isnan(value)) return (unsigned short)(sign | 0x7e00u);
  const float size = std::fabs(value);
  if (size >= 65520.f) return (unsigned short)(sign | 0x7c00u);
  if (size < 6.103515625e-5f) return (unsigned short)(sign | (unsigned)std::nearbyint(std::ldexp(size, 24)));
  unsigned rest;
  std::memcpy(&rest, &size, 4);
  rest += 0xfffu + (rest >> 13 & 1);
  return (unsigned short)(sign | (rest - (112u << 23)) >> 13);
}
inline unsigned short float_to_bfloat(float value) {
  unsigned bits;
  std::memcpy(&bits, &value, 4);
  if (std::isnan(value)) return 0x7fff;
  return (unsigned short)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}
}  // namespace emulator

#define threadIdx (emulator::machine.threads[emulator::machine.current].index)
#define blockIdx (emulator::machine.block_index)
#define blockDim (emulator::machine.block)
#define gridDim (emulator::machine.grid)

inline void __syncthreads() {
  emulator::wait(emulator::machine.barriers[0], (int)emulator::machine.threads.size());
}
inline void __syncwarp(unsigned = ~0u) { emulator::warp_wait(); }
inline void named_barrier(int number, int threads) { emulator::wait(emulator::machine.barriers[number], threads); }
inline void named_arrive(int number, int threads) { emulator::arrive(emulator::machine.barriers[number], threads); }
template <class T> inline T __shfl_sync(unsigned, T value, int from, int width = 32) {
  return emulator::exchange(value, emulator::lane() / width * width + from % width);
}
template <class T> inline T __shfl_up_sync(unsigned, T value, int by, int width = 32) {
  const int lane = emulator::lane();
  return emulator::exchange(value, lane % width >= by ? lane - by : lane);
}
template <class T> inline T __shfl_down_sync(unsigned, T value, int by, int width = 32) {
  const int lane = emulator::lane();
  return emulator::exchange(value, lane % width + by < width ? lane + by : lane);
}
template <class T> inline T __shfl_xor_sync(unsigned, T value, int mask, int = 32) {
  return emulator::exchange(value, emulator::lane() ^ mask);
}
inline int __any_sync(unsigned, int predicate) {
  int any = 0;
  for (int i = 0; i < emulator::lanes(); i++) any |= emulator::exchange(predicate, i) != 0;
  return any;
}
template <class T> inline T __ldg(const T *pointer) { return *pointer; }
template <class T> inline T __ldcs(const T *pointer) { return *pointer; }
template <class T> inline void __stcs(T *pointer, T value) { *pointer = value; }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float rsqrtf(float x) { return 1.f / std::sqrt(x); }
inline double rsqrt(double x) { return 1. / std::sqrt(x); }
using std::fmaf;
using std::exp2f;
using std::log1pf;
template <class T> inline T min(T a, T b) { return b < a ? b : a; }
template <class T> inline T max(T a, T b) { return a < b ? b : a; }

inline float half_to_float(unsigned short bits) { return emulator::half_to_float(bits); }
inline unsigned short float_to_half(float value) { return emulator::float_to_half(value); }
inline unsigned short float_to_bfloat(float value) { return emulator::float_to_bfloat(value); }
inline unsigned pack_half(float low, float high) { return float_to_half(low) | (unsigned)float_to_half(high) << 16; }
inline unsigned pack_bfloat(float low, float high) { return float_to_bfloat(low) | (unsigned)float_to_bfloat(high) << 16; }
inline float bits_to_float(unsigned bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}
inline float __uint_as_float(unsigned bits) { return bits_to_float(bits); }
inline unsigned __float_as_uint(float value) {
  unsigned bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}
inline int unknown(int value) { return value; }
inline float fast_exp2(float x) { return std::exp2(x); }
inline float fast_log2(float x) { return std::log2(x); }
inline float fast_reciprocal(float x) { return 1.f / x; }
// Word by word: the thread sanitizer does not see copies of 16 bytes.
inline void copy_async_16(void *to, const void *from, bool present = true) {
  for (int i = 0; i < 2; i++) {
    uint64_t word = 0;
    if (present) std::memcpy(&word, (const char *)from + 8 * i, 8);
    ((volatile uint64_t *)to)[i] = word;
  }
}
inline unsigned shared_address(const void *pointer) {
  return unsigned((const char *)pointer - emulator::machine.shared.data());
}
inline unsigned load_shared(unsigned address) {
  unsigned value;
  std::memcpy(&value, emulator::machine.shared.data() + address, 4);
  return value;
}
inline float2 load_shared_2(unsigned address) {
  float2 value;
  std::memcpy(&value, emulator::machine.shared.data() + address, 8);
  return value;
}
inline float2 load_shared_2(unsigned address, bool needed) {
  return needed ? load_shared_2(address) : make_float2(NAN, NAN);
}
inline void store_shared_2(unsigned address, float2 value) {
  std::memcpy(emulator::machine.shared.data() + address, &value, 8);
}
// Lane 8 i + g has the address of row g of tile i.
template <int COUNT> inline void load_tiles(unsigned (&tiles)[COUNT], unsigned address) {
  for (int i = 0; i < COUNT; i++)
    tiles[i] = load_shared(emulator::exchange(address, 8 * i + emulator::lane() / 4) + 4 * (emulator::lane() % 4));
}
inline void copy_async_commit() {}
template <int PENDING> inline void copy_async_wait() {}

namespace emulator {
template <int K>  // columns of a: 8 or 16
inline void multiply(float (&d)[4], const unsigned *a, const unsigned *b, float (*number)(unsigned short)) {
  const int g = lane() / 4, q = lane() % 4;
  float sum[4] = {d[0], d[1], d[2], d[3]};
  for (int k = 0; k < K; k += 2) {
    const int half = k / 8, owner = k % 8 / 2;
    // a0, a1: rows g and g + 8 of the first 8 columns; a2, a3: of the next 8.
    const unsigned low = exchange(a[2 * half], g * 4 + owner), high = exchange(a[2 * half + 1], g * 4 + owner);
    const unsigned left = exchange(b[half], 2 * q * 4 + owner), right = exchange(b[half], (2 * q + 1) * 4 + owner);
    for (int i = 0; i < 2; i++) {
      const float al = number((unsigned short)(low >> 16 * i)), ah = number((unsigned short)(high >> 16 * i));
      const float bl = number((unsigned short)(left >> 16 * i)), br = number((unsigned short)(right >> 16 * i));
      sum[0] += al * bl; sum[1] += al * br; sum[2] += ah * bl; sum[3] += ah * br;
    }
  }
  for (int i = 0; i < 4; i++) d[i] = sum[i];
}
inline float bfloat_number(unsigned short bits) { return bits_to_float((unsigned)bits << 16); }
}  // namespace emulator

// The tensor core's products; the type of their operands is that of the kernel's namespace, see `prelude.cuh`.
#define EMULATED_PRODUCTS(number, bits)                                                                       \
  inline void multiply_16x8x8(float (&d)[4], unsigned a0, unsigned a1, unsigned b) {                          \
    const unsigned a[2] = {a0, a1};                                                                           \
    emulator::multiply<8>(d, a, &b, number);                                                                  \
  }                                                                                                           \
  inline void multiply_16x8x8(float (&d)[4], unsigned a0, unsigned a1, unsigned b, float c0, float c1) {      \
    d[0] = d[2] = c0, d[1] = d[3] = c1;                                                                       \
    multiply_16x8x8(d, a0, a1, b);                                                                            \
  }                                                                                                           \
  inline void multiply_16x8x8(float (&d)[4], unsigned a0, unsigned a1, unsigned b, const float (&c)[4]) {     \
    float sum[4] = {c[0], c[1], c[2], c[3]};                                                                  \
    multiply_16x8x8(sum, a0, a1, b);                                                                          \
    for (int i = 0; i < 4; i++) d[i] = sum[i];                                                                \
  }                                                                                                           \
  inline void multiply_16x8x16(                                                                               \
      float (&d)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0, unsigned b1) {          \
    const unsigned a[4] = {a0, a1, a2, a3}, b[2] = {b0, b1};                                                  \
    emulator::multiply<16>(d, a, b, number);                                                                  \
  }                                                                                                           \
  inline unsigned multiply_pairs(unsigned a, unsigned b) {                                                    \
    const float low = number((unsigned short)a) * number((unsigned short)b);                                  \
    const float high = number((unsigned short)(a >> 16)) * number((unsigned short)(b >> 16));                 \
    return bits(low) | (unsigned)bits(high) << 16;                                                            \
  }
inline unsigned transpose_8x8(unsigned bits) {
  const int g = emulator::lane() / 4, q = emulator::lane() % 4;
  const unsigned first = emulator::exchange(bits, 2 * q * 4 + g / 2), second = emulator::exchange(bits, (2 * q + 1) * 4 + g / 2);
  const int shift = g % 2 * 16;
  return (first >> shift & 0xffffu) | (second >> shift & 0xffffu) << 16;
}
