#pragma once

// exp and softplus over lanes.
//
// The float versions work in base 2, which needs no argument reduction by ln 2: weights and biases of dt are
// scaled by log2(e) beforehand, steps are kept in units of ln 2, and exp(dt A) is exp2(step A).
// `Math<T>::unit` is the size of a stored step's unit; raw values are divided by it before `softplus`.

namespace CSCAN_VARIANT {

template <class T>
struct Math;

template <>
struct Math<float> {
  using V = Vector<float>;
  typedef uint32_t Bits __attribute__((vector_size(CSCAN_VECTOR_BYTES)));

  static constexpr double unit = 0.69314718055994530942;

  // 2^x = scale (1 + r q), r in [-1/2, 1/2].
  struct Parts {
    V r, q, k;
  };

  CSCAN_INLINE Parts split(V x) {
#ifdef CSCAN_AVX512
    const V k = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const V r = x - k;
#else
    // Adding 1.5 * 2^23 rounds to an integer; the bias of the exponent rides along for `power`.
    const V k = x + 12583039.0f;
    const V r = x - (k - 12583039.0f);
#endif
    // Minimax for (2^r - 1) / r, relative error 1e-8.
    V q = r * 1.5383654681500047e-4f + 1.3387389481067657e-3f;
    q = q * r + 9.618307463824749e-3f;
    q = q * r + 5.550367385149002e-2f;
    q = q * r + 2.4022649228572845e-1f;
    q = q * r + 6.931471824645996e-1f;
    return {r, q, k};
  }

#ifndef CSCAN_AVX512
  CSCAN_INLINE V power(V k) { return (V)((Bits)k << 23); }
#endif

  // Overflows to infinity, underflows to zero, keeps NaN. The comparisons are written so that NaN passes.
  CSCAN_INLINE V exp(V x) {
    x = x > 128.0f ? splat(128.0f) : x;
    return exp_bounded(x);
  }

  // For x <= 128.
  CSCAN_INLINE V exp_bounded(V x) {
#ifdef CSCAN_AVX512
    x = x < -200.0f ? splat(-200.0f) : x;
    const Parts p = split(x);
    return _mm512_scalef_ps(p.q * p.r + 1.0f, p.k);
#else
    x = x < -127.0f ? splat(-127.0f) : x;
    const Parts p = split(x);
    return (p.q * p.r + 1.0f) * power(p.k);
#endif
  }

  // 1 - 2^-s for s >= 0, with full relative accuracy for small s.
  CSCAN_INLINE V one_minus_exp_of_minus(V s) {
    s = s > 127.0f ? splat(127.0f) : s;
    const Parts p = split(-s);
#ifdef CSCAN_AVX512
    const V scale = _mm512_scalef_ps(splat(1.0f), p.k);
#else
    const V scale = power(p.k);
#endif
    return (1.0f - scale) - (scale * p.r) * p.q;
  }

  // log2(1 + 2^x). Where softplus is the identity by definition (above 20) the logarithm's share is below
  // half an ulp, so no test is needed.
  CSCAN_INLINE V softplus(V x) {
    const V positive = x < 0.0f ? V{} : x;
    const V t = exp_bounded((V)((Bits)x | 0x80000000u));  // of -|x|
    // Minimax for log2(1 + t) / t on [0, 1], relative error 2e-8.
    V p = t * -2.783160423859954e-3f + 2.019071765244007e-2f;
    p = p * t + -6.651454418897629e-2f;
    p = p * t + 1.3734637200832367e-1f;
    p = p * t + -2.1173414587974548e-1f;
    p = p * t + 2.8077247738838196e-1f;
    p = p * t + -3.5942214727401733e-1f;
    p = p * t + 4.8079347610473633e-1f;
    p = p * t + -7.213440537452698e-1f;
    p = p * t + 1.4426950216293335f;
    return p * t + positive;
  }

  // The derivative of softplus, from its value.
  CSCAN_INLINE V softplus_slope(V s) { return one_minus_exp_of_minus(s); }

  CSCAN_INLINE V sigmoid(V x) { return 1.0f / (1.0f + exp(x * -1.44269504f)); }
};

template <>
struct Math<double> {
  using V = Vector<double>;

  static constexpr double unit = 1;

  CSCAN_INLINE V exp(V x) {
    for (int i = 0; i < lanes<double>; ++i) x[i] = std::exp(x[i]);
    return x;
  }

  CSCAN_INLINE V softplus(V x) {
    for (int i = 0; i < lanes<double>; ++i) x[i] = x[i] > 20 ? x[i] : std::log1p(std::exp(x[i]));
    return x;
  }

  CSCAN_INLINE V softplus_slope(V s) {
    // softplus(20): beyond it the function is the identity by definition.
    constexpr double linear = 20.000000002061153;
    for (int i = 0; i < lanes<double>; ++i) s[i] = s[i] > linear ? 1 : -std::expm1(-s[i]);
    return s;
  }

  CSCAN_INLINE V sigmoid(V x) {
    for (int i = 0; i < lanes<double>; ++i) x[i] = 1 / (1 + std::exp(-x[i]));
    return x;
  }
};

}  // namespace CSCAN_VARIANT
