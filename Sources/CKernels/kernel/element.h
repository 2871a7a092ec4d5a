#pragma once

// Elements in memory, and their conversion to and from the type of the arithmetic.

namespace CSCAN_VARIANT {

struct Float16 {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

typedef uint16_t Bits16 __attribute__((vector_size(CSCAN_VECTOR_BYTES / 2)));
typedef uint32_t Bits32 __attribute__((vector_size(CSCAN_VECTOR_BYTES)));

CSCAN_INLINE Vector<float> widen(Bits16 raw, BFloat16) {
  return (Vector<float>)(__builtin_convertvector(raw, Bits32) << 16);
}

CSCAN_INLINE Vector<float> widen(Bits16 raw, Float16) {
  const Bits32 bits = __builtin_convertvector(raw, Bits32);
  const Bits32 sign = (bits & 0x8000) << 16;
  const Bits32 magnitude = (bits & 0x7fff) << 13;
  // Reading the exponent with float's bias makes the value 2^112 too small, exactly so even for subnormal
  // halves.
  const Bits32 finite = (Bits32)((Vector<float>)magnitude * 0x1p112f);
  const Bits32 special = magnitude | 0x7f800000;
  return (Vector<float>)((magnitude >= (0x7c00u << 13) ? special : finite) | sign);
}

CSCAN_INLINE Bits16 narrow(Vector<float> value, BFloat16) {
  const Bits32 bits = (Bits32)value;
  const Bits32 rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const Bits32 quiet = (bits >> 16) | 0x40;
  return __builtin_convertvector((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded, Bits16);
}

CSCAN_INLINE Bits16 narrow(Vector<float> value, Float16) {
  const Bits32 bits = (Bits32)value;
  const Bits32 sign = (bits >> 16) & 0x8000;
  const Bits32 magnitude = bits & 0x7fffffff;
  // Normal halves: rebias the exponent and round the mantissa to even; a carry may reach infinity, as it
  // should.
  const Bits32 normal = (magnitude - (112u << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13;
  // Subnormal halves: adding 1/2 leaves the mantissa in units of 2^-24, rounded to even by the addition.
  const Bits32 subnormal = (Bits32)((Vector<float>)magnitude + 0.5f) - 0x3f000000;
  Bits32 half = magnitude < (113u << 23) ? subnormal : normal;
  half = magnitude >= (143u << 23) ? Bits32{} + 0x7c00 : half;
  half = magnitude > 0x7f800000 ? Bits32{} + 0x7e00 : half;
  return __builtin_convertvector(half | sign, Bits16);
}

template <class T, class E>
CSCAN_INLINE Vector<T> load(const E *source) {
  if constexpr (std::is_same_v<T, E>) {
    Vector<T> value;
    std::memcpy(&value, source, sizeof value);
    return value;
  } else {
    Bits16 raw;
    std::memcpy(&raw, source, sizeof raw);
    return widen(raw, E{});
  }
}

template <class T, class E>
CSCAN_INLINE void store(E *target, Vector<T> value) {
  if constexpr (std::is_same_v<T, E>) {
    std::memcpy(target, &value, sizeof value);
  } else {
    const Bits16 raw = narrow(value, E{});
    std::memcpy(target, &raw, sizeof raw);
  }
}

template <class T, class E>
CSCAN_INLINE T load_one(const E *source) {
  if constexpr (std::is_same_v<T, E>) {
    return *source;
  } else {
    return widen(Bits16{source->bits}, E{})[0];
  }
}

template <class T, class E>
CSCAN_INLINE void store_one(E *target, T value) {
  if constexpr (std::is_same_v<T, E>) {
    *target = value;
  } else {
    target->bits = narrow(Vector<T>{value}, E{})[0];
  }
}

// Calls body(E *) with the tensor's data as its element type. The arithmetic type decides which types are
// possible.
template <class T, class Body>
CSCAN_INLINE void with_elements(const cscan_tensor &tensor, Body body) {
  if constexpr (std::is_same_v<T, double>) {
    body(static_cast<double *>(tensor.data));
  } else if (tensor.type == CSCAN_BFLOAT16) {
    body(static_cast<BFloat16 *>(tensor.data));
  } else if (tensor.type == CSCAN_FLOAT16) {
    body(static_cast<Float16 *>(tensor.data));
  } else {
    body(static_cast<float *>(tensor.data));
  }
}

}  // namespace CSCAN_VARIANT
