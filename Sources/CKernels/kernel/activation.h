#pragma once

// Activations over lanes.

namespace CSCAN_VARIANT {

// Phi(-a) for a >= 0, the normal distribution's tail.
CSCAN_INLINE Vector<float> normal_tail(Vector<float> a) {
  a = a > 9.0f ? splat(9.0f) : a;
  // Minimax for log2 Phi(-a) on [0, 9], weighted so that x Phi(x) is within 1.1e-7 of |x| in single precision.
  Vector<float> p = a * 1.664132440737376e-7f + -4.271333182259696e-6f;
  p = p * a + 4.215049193589948e-5f;
  p = p * a + -1.7712802218738943e-4f;
  p = p * a + -1.842627680161968e-4f;
  p = p * a + 7.1432520635426044e-3f;
  p = p * a + -5.2557963877916336e-2f;
  p = p * a + -4.5918723940849304e-1f;
  p = p * a + -1.1511074304580688f;
  return Math<float>::exp_bounded(p * a - 1.0f);
}

CSCAN_INLINE Vector<double> normal_tail(Vector<double> a) {
  for (int i = 0; i < lanes<double>; ++i) a[i] = 0.5 * std::erfc(a[i] * 0.70710678118654752440);
  return a;
}

template <class T>
CSCAN_INLINE Vector<T> gelu(Vector<T> x) {
  const Vector<T> tail = x * normal_tail(x < T(0) ? -x : x);
  return x < T(0) ? tail : x - tail;
}

// 0.5 x (1 + tanh u) = x sigmoid(2u), u = sqrt(2 / pi) (x + 0.044715 x^3).
template <class T>
CSCAN_INLINE Vector<T> gelu_tanh(Vector<T> x) {
  const Vector<T> u = x * (x * x * T(0.0713548162726) + T(1.5957691216057308));
  return x * Math<T>::sigmoid(u);
}

template <class T, int Kind>
CSCAN_INLINE Vector<T> activated(Vector<T> x) {
  if constexpr (Kind == CMAP_RELU) return x < T(0) ? Vector<T>{} : x;
  if constexpr (Kind == CMAP_GELU) return gelu<T>(x);
  if constexpr (Kind == CMAP_GELU_TANH) return gelu_tanh<T>(x);
  if constexpr (Kind == CMAP_SILU) return x * Math<T>::sigmoid(x);
  return x;
}

// Calls body(std::integral_constant<int, Kind>) with the kind as a constant.
template <class Body>
CSCAN_INLINE void with_activation(int32_t kind, Body body) {
  switch (kind) {
    case CMAP_RELU: return body(std::integral_constant<int, CMAP_RELU>());
    case CMAP_GELU: return body(std::integral_constant<int, CMAP_GELU>());
    case CMAP_GELU_TANH: return body(std::integral_constant<int, CMAP_GELU_TANH>());
    case CMAP_SILU: return body(std::integral_constant<int, CMAP_SILU>());
    default: return body(std::integral_constant<int, CMAP_IDENTITY>());
  }
}

}  // namespace CSCAN_VARIANT
