// What every kernel of this folder shares: element types, conversions, and the instructions that CUDA C++ has no name for.
//
// Programs are compiled at run time by NVRTC with their constants as macros, and by the tests for the processor, where
// `emulator.h` stands in for the device. So inline assembly stands here alone, beside its meaning in plain C++.
//
// ELEMENT is the type of tensors: 0 float, 1 half, 2 bfloat16, 3 double. The arithmetic (`real`) is float, double for double.

#if ELEMENT == 3
typedef double real;
#else
typedef float real;
#endif

#if ELEMENT == 0
typedef float element;
#elif ELEMENT == 3
typedef double element;
#else
typedef unsigned short element;  // the bits of a half or bfloat16 number
#endif

#if defined(__CUDACC_RTC__) || defined(__CUDACC__)

#define DEVICE __device__ __forceinline__
#define KERNEL extern "C" __global__ void

// One address for all dynamic shared memory of a block.
#define SHARED_MEMORY(type, name) \
  extern __shared__ float4 dynamic_shared_memory[]; \
  type *const name = (type *)dynamic_shared_memory

DEVICE float half_to_float(unsigned short bits) {
  float value;
  asm("{.reg .b16 h; mov.b16 h, %1; cvt.f32.f16 %0, h;}" : "=f"(value) : "h"(bits));
  return value;
}
DEVICE unsigned short float_to_half(float value) {
  unsigned short bits;
  asm("{.reg .b16 h; cvt.rn.f16.f32 h, %1; mov.b16 %0, h;}" : "=h"(bits) : "f"(value));
  return bits;
}
DEVICE unsigned pack_half(float low, float high) {
  unsigned bits;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  return bits;
}
DEVICE unsigned pack_bfloat(float low, float high) {
  unsigned bits;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  return bits;
}
DEVICE float bits_to_float(unsigned bits) { return __uint_as_float(bits); }
DEVICE unsigned short float_to_bfloat(float value) { return (unsigned short)(pack_bfloat(value, 0.f) & 0xffffu); }

// 2^x and log2 x by the special function unit: 2 ulp, denormals are zero.
DEVICE float fast_exp2(float x) { float y; asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x)); return y; }
DEVICE float fast_log2(float x) { float y; asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x)); return y; }
DEVICE float fast_reciprocal(float x) { float y; asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x)); return y; }

// d += a b for a 16x8 tile: a is 16x8 row-major and b 8x8 column-major, in half or bfloat16. With g = lane / 4, q = lane % 4:
// a0 holds row g, a1 row g + 8, columns 2q and 2q + 1; b column g, rows 2q and 2q + 1; d0, d1 row g, d2, d3 row g + 8,
// columns 2q and 2q + 1.
#if ELEMENT == 1 || ELEMENT == 2
#if ELEMENT == 1
#define MMA_TYPES "f32.f16.f16.f32"
#else
#define MMA_TYPES "f32.bf16.bf16.f32"
#endif
DEVICE void multiply_16x8x8(float (&d)[4], unsigned a0, unsigned a1, unsigned b) {
  asm("mma.sync.aligned.m16n8k8.row.col." MMA_TYPES " {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a0), "r"(a1), "r"(b));
}
// d = c + a b, where c has the two numbers in each row.
DEVICE void multiply_16x8x8(float (&d)[4], unsigned a0, unsigned a1, unsigned b, float c0, float c1) {
  asm("mma.sync.aligned.m16n8k8.row.col." MMA_TYPES " {%0,%1,%2,%3}, {%4,%5}, {%6}, {%7,%8,%7,%8};"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3]) : "r"(a0), "r"(a1), "r"(b), "f"(c0), "f"(c1));
}
// d = a b + c.
DEVICE void multiply_16x8x8(float (&d)[4], unsigned a0, unsigned a1, unsigned b, const float (&c)[4]) {
  asm("mma.sync.aligned.m16n8k8.row.col." MMA_TYPES " {%0,%1,%2,%3}, {%4,%5}, {%6}, {%7,%8,%9,%10};"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a0), "r"(a1), "r"(b), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
}
// d += a b with 16 columns of a: a2 and a3 hold rows g and g + 8, columns 2q + 8 and 2q + 9; b1 rows 2q + 8 and 2q + 9.
DEVICE void multiply_16x8x16(float (&d)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0, unsigned b1) {
  asm("mma.sync.aligned.m16n8k16.row.col." MMA_TYPES " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}
// The same with d = c + a b.
DEVICE void multiply_16x8x16(
    float (&d)[4], const float (&c)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0, unsigned b1) {
  asm("mma.sync.aligned.m16n8k16.row.col." MMA_TYPES " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%10,%11,%12,%13};"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1), "f"(c[0]), "f"(c[1]), "f"(c[2]), "f"(c[3]));
}
#endif

#if ELEMENT == 1 || ELEMENT == 2
// Products of the two numbers of each.
DEVICE unsigned multiply_pairs(unsigned a, unsigned b) {
  unsigned product;
#if ELEMENT == 1
  asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(product) : "r"(a), "r"(b));
#else
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(product) : "r"(a), "r"(b), "r"(0x80008000u));
#endif
  return product;
}
#endif

// An 8x8 tile of 16-bit numbers, row g columns 2q and 2q + 1 in lane 4g + q, transposed.
DEVICE unsigned transpose_8x8(unsigned bits) {
  unsigned result;
  asm("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(result) : "r"(bits));
  return result;
}

// 1, 2 or 4 8x8 tiles of 16-bit numbers from shared memory: lane 8 i + g has the address of row g of tile i, and gets of each
// tile columns 2q and 2q + 1 of row lane / 4.
DEVICE void load_tiles(unsigned (&tiles)[1], unsigned address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(tiles[0]) : "r"(address));
}
DEVICE void load_tiles(unsigned (&tiles)[2], unsigned address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];" : "=r"(tiles[0]), "=r"(tiles[1]) : "r"(address));
}
DEVICE void load_tiles(unsigned (&tiles)[4], unsigned address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(tiles[0]), "=r"(tiles[1]), "=r"(tiles[2]), "=r"(tiles[3]) : "r"(address));
}

// Copies of 16 or 8 bytes from global to shared memory that go on while the block computes.
DEVICE void copy_async_16(void *to, const void *from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"((unsigned)__cvta_generic_to_shared(to)), "l"(from) : "memory");
}
// Zeros where the source is not present; its address is not used then.
DEVICE void copy_async_16(void *to, const void *from, bool present) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"((unsigned)__cvta_generic_to_shared(to)), "l"(from),
               "r"(present ? 16 : 0) : "memory");
}
// Shared memory by 32-bit addresses: what is added to them costs one instruction, where pointers cost two or three. As
// volatile assembly they keep their order among themselves and to barriers.
DEVICE unsigned shared_address(const void *pointer) { return (unsigned)__cvta_generic_to_shared(pointer); }
DEVICE unsigned load_shared(unsigned address) {
  unsigned value;
  asm volatile("ld.shared.b32 %0, [%1];" : "=r"(value) : "r"(address));
  return value;
}
DEVICE float2 load_shared_2(unsigned address) {
  float2 value;
  asm volatile("ld.shared.v2.f32 {%0, %1}, [%2];" : "=f"(value.x), "=f"(value.y) : "r"(address));
  return value;
}
// Whatever is there, perhaps while another thread writes it, where it is not needed: a test would take registers.
DEVICE float2 load_shared_2(unsigned address, bool) { return load_shared_2(address); }
DEVICE void store_shared_2(unsigned address, float2 value) {
  asm volatile("st.shared.v2.f32 [%0], {%1, %2};" ::"r"(address), "f"(value.x), "f"(value.y));
}

DEVICE void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int PENDING>
DEVICE void copy_async_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory"); }

// The same number, but one that the compiler knows nothing about: what is made of it is computed anew, not kept in registers.
DEVICE int unknown(int value) {
  asm volatile("" : "+r"(value));
  return value;
}

// A barrier for `threads` threads of the block, whole warps; numbers 1 to 15 (0 is __syncthreads).
DEVICE void named_barrier(int number, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(number), "r"(threads) : "memory");
}
// Counts at a named barrier without waiting there; what was written before is visible to those who wait.
DEVICE void named_arrive(int number, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(number), "r"(threads) : "memory");
}
#else
#if ELEMENT == 1
EMULATED_PRODUCTS(emulator::half_to_float, emulator::float_to_half)
#elif ELEMENT == 2
EMULATED_PRODUCTS(emulator::bfloat_number, emulator::float_to_bfloat)
#endif
#if ELEMENT == 1 || ELEMENT == 2
DEVICE void multiply_16x8x16(
    float (&d)[4], const float (&c)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0, unsigned b1) {
  for (int i = 0; i < 4; i++) d[i] = c[i];
  multiply_16x8x16(d, a0, a1, a2, a3, b0, b1);
}
#endif
#endif

DEVICE float bfloat_to_float(unsigned short bits) { return bits_to_float((unsigned)bits << 16); }

// ---- elements

DEVICE real to_real(element value) {
#if ELEMENT == 1
  return half_to_float(value);
#elif ELEMENT == 2
  return bfloat_to_float(value);
#else
  return value;
#endif
}
DEVICE element to_element(real value) {
#if ELEMENT == 1
  return float_to_half(value);
#elif ELEMENT == 2
  return float_to_bfloat(value);
#else
  return value;
#endif
}

// Two neighbouring elements, and as numbers.
#if ELEMENT == 3
typedef double2 element_pair;
typedef double2 real_pair;
DEVICE real_pair make_real_pair(double a, double b) { return make_double2(a, b); }
#elif ELEMENT == 0
typedef float2 element_pair;
typedef float2 real_pair;
DEVICE real_pair make_real_pair(float a, float b) { return make_float2(a, b); }
#else
typedef unsigned element_pair;
typedef float2 real_pair;
DEVICE real_pair make_real_pair(float a, float b) { return make_float2(a, b); }
#endif

DEVICE real_pair unpack(element_pair pair) {
#if ELEMENT == 1
  return make_float2(half_to_float((unsigned short)(pair & 0xffffu)), half_to_float((unsigned short)(pair >> 16)));
#elif ELEMENT == 2
  return make_float2(bits_to_float(pair << 16), bits_to_float(pair & 0xffff0000u));
#else
  return pair;
#endif
}
DEVICE element_pair pack(real low, real high) {
#if ELEMENT == 1
  return pack_half(low, high);
#elif ELEMENT == 2
  return pack_bfloat(low, high);
#else
  return make_real_pair(low, high);
#endif
}

// COUNT (1, 2, 4, …) neighbouring elements read or written at once: the address is a multiple of their size or of 16 bytes.
template <int COUNT>
struct alignas(COUNT * sizeof(element) < 16 ? COUNT * sizeof(element) : 16) Elements {
  element_pair pairs[COUNT / 2];
};
template <>
struct Elements<1> {
  element value;
};
template <int COUNT>
DEVICE Elements<COUNT> elements_at(const element *address) {
  return *reinterpret_cast<const Elements<COUNT> *>(address);
}
template <int COUNT>
DEVICE void unpack(real (&numbers)[COUNT], const Elements<COUNT> &elements) {
  if constexpr (COUNT == 1) {
    numbers[0] = to_real(elements.value);
  } else {
#pragma unroll
    for (int i = 0; i < COUNT / 2; i++) {
      const real_pair pair = unpack(elements.pairs[i]);
      numbers[2 * i] = pair.x;
      numbers[2 * i + 1] = pair.y;
    }
  }
}
template <int COUNT>
DEVICE void store(element *address, const real (&numbers)[COUNT]) {
  Elements<COUNT> elements;
  if constexpr (COUNT == 1) {
    elements.value = to_element(numbers[0]);
  } else {
#pragma unroll
    for (int i = 0; i < COUNT / 2; i++) elements.pairs[i] = pack(numbers[2 * i], numbers[2 * i + 1]);
  }
  *reinterpret_cast<Elements<COUNT> *>(address) = elements;
}

// The lower, or upper, halves of two registers side by side.
#if defined(__CUDACC_RTC__) || defined(__CUDACC__)
DEVICE unsigned lower_halves(unsigned first, unsigned second) { return __byte_perm(first, second, 0x5410); }
DEVICE unsigned upper_halves(unsigned first, unsigned second) { return __byte_perm(first, second, 0x7632); }
#else
DEVICE unsigned lower_halves(unsigned first, unsigned second) { return (first & 0xffffu) | second << 16; }
DEVICE unsigned upper_halves(unsigned first, unsigned second) { return first >> 16 | (second & 0xffff0000u); }
#endif

// The sum of a column of `partial` [rows, count] by a block of 8 columns and 64 shares of the rows; threadIdx.y 0 has it.
DEVICE real sum_column(double (&shared)[64][8], const real *partial, long long rows, long long count, long long column) {
  double sum = 0;
  if (column < count) {
#pragma unroll 8
    for (long long row = threadIdx.y; row < rows; row += 64) sum += (double)partial[row * count + column];
  }
  shared[threadIdx.y][threadIdx.x] = sum;
  for (unsigned half = 32; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half) shared[threadIdx.y][threadIdx.x] += shared[threadIdx.y + half][threadIdx.x];
  }
  return (real)shared[threadIdx.y][threadIdx.x];
}

// ---- activations: ACTIVATION is the number of cmap.h

#ifdef ACTIVATION
DEVICE float exp2_of(float x) { return fast_exp2(x); }
DEVICE float sigmoid_of_log2(float x) { return fast_reciprocal(1.f + fast_exp2(-x)); }
DEVICE double exp2_of(double x) { return exp2(x); }
DEVICE double sigmoid_of_log2(double x) { return 1. / (1. + exp2(-x)); }

// Phi(-a) for a >= 0, the normal distribution's tail: 2^(a p(a) - 1), p by minimax.
DEVICE double normal_tail(double a) { return 0.5 * erfc(a * 0.70710678118654752440); }
DEVICE float normal_tail(float a) {
#if ELEMENT == 2
  // Within 1.1e-4 of itself where a Phi(-a) is above 2^-15; falls on beyond.
  float p = a * -0.0003164359f + 0.0058049709f;
  p = p * a + -0.0482592423f;
  p = p * a + -0.4638472194f;
  p = p * a + -1.1495679219f;
#elif ELEMENT == 1
  // Within 7e-6 of itself where a Phi(-a) is above 2^-15.
  a = a < 6.f ? a : 6.f;
  float p = a * 3.183765393e-5f + -0.0007411177338f;
  p = p * a + 0.007910853435f;
  p = p * a + -0.05299567308f;
  p = p * a + -0.4592018887f;
  p = p * a + -1.151046914f;
#else
  // Weighted so that x Phi(x) is within 1.1e-7 of |x|.
  a = a < 9.f ? a : 9.f;
  float p = a * 1.664132440737376e-7f + -4.271333182259696e-6f;
  p = p * a + 4.215049193589948e-5f;
  p = p * a + -1.7712802218738943e-4f;
  p = p * a + -1.842627680161968e-4f;
  p = p * a + 7.1432520635426044e-3f;
  p = p * a + -5.2557963877916336e-2f;
  p = p * a + -4.5918723940849304e-1f;
  p = p * a + -1.1511074304580688f;
#endif
  return fast_exp2(p * a - 1.f);
}

#define LOG2_E real(1.44269504088896340736)

DEVICE real activated(real z) {
#if ACTIVATION == 1
  return z < 0 ? real(0) : z;
#elif ACTIVATION == 2
  const real size = z < 0 ? -z : z;
  return (z < 0 ? real(0) : z) - size * normal_tail(size);
#elif ACTIVATION == 3
  return z * sigmoid_of_log2(LOG2_E * z * (z * z * real(0.0713548162726) + real(1.5957691216057308)));
#elif ACTIVATION == 4
  return z * sigmoid_of_log2(LOG2_E * z);
#else
  return z;
#endif
}

DEVICE real activation_slope(real z) {
#if ACTIVATION == 1
  return z > 0 ? real(1) : real(0);
#elif ACTIVATION == 2
  const real tail = normal_tail(z < 0 ? -z : z);
  const real density = real(0.39894228040143267794) * exp2_of(real(-0.5) * LOG2_E * z * z);
  return (z < 0 ? tail : real(1) - tail) + z * density;
#elif ACTIVATION == 3
  const real s = sigmoid_of_log2(LOG2_E * z * (z * z * real(0.0713548162726) + real(1.5957691216057308)));
  return s + z * s * (real(1) - s) * (z * z * real(0.2140644488178) + real(1.5957691216057308));
#elif ACTIVATION == 4
  const real s = sigmoid_of_log2(LOG2_E * z);
  return s + z * s * (real(1) - s);
#else
  return real(1);
#endif
}
#endif
