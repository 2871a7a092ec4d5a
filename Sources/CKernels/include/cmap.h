#ifndef CMAP_H
#define CMAP_H

#include "cscan.h"

#ifdef __cplusplus
extern "C" {
#endif

// Inference kernels for feature maps on CPUs.
//
// A map is [B, H, W, C]: channels innermost, images, rows and pixels without gaps. Its elements are float or
// double, and so are the parameters. Outputs never overlap inputs unless said. Results do not depend on how
// `parallel` splits the work, to the bit; `parallel` may be null: then the work runs on the calling thread.

/// What is applied to each element of a result.
enum cmap_activation {
  CMAP_IDENTITY = 0,
  CMAP_RELU = 1,
  CMAP_GELU = 2,       ///< x Phi(x)
  CMAP_GELU_TANH = 3,  ///< its approximation by a hyperbolic tangent
  CMAP_SILU = 4        ///< x sigma(x)
};

/// A depthwise convolution, zero-padded, with what follows it.
typedef struct {
  int64_t batch, height, width, channels;  ///< of x
  int64_t kernel, stride, padding;         ///< the same in both directions
  int32_t type;                            ///< CSCAN_FLOAT32 or CSCAN_FLOAT64
  int32_t activation;
  const void *x;       ///< [B, H, W, C]
  const void *weight;  ///< [kernel, kernel, C]
  const void *bias;    ///< [C], optional
} cmap_depthwise;

/// Writes `y` [B, (H + 2 padding - kernel) / stride + 1, likewise, C].
int32_t cmap_depthwise_forward(const cmap_depthwise *convolution, void *y, cscan_parallel_fn parallel);

/// A normalisation of each image over all its positions and channels, then an affine map of each channel.
typedef struct {
  int64_t batch, positions, channels;
  int32_t type;
  const void *x;       ///< [B, positions, C]
  const void *weight;  ///< [C]
  const void *bias;    ///< [C]
  double epsilon;      ///< added to the (biased) variance
} cmap_norm;

/// Writes `y` [B, positions, C], which may be x itself.
int32_t cmap_norm_forward(const cmap_norm *norm, void *y, cscan_parallel_fn parallel);

/// A shortcut scaled by channel, plus a branch.
typedef struct {
  int64_t pixels, channels;
  int32_t type;
  const void *shortcut;  ///< [pixels, C]
  const void *scale;     ///< [C]
  const void *offset;    ///< [C]
  const void *branch;    ///< [pixels, C]
} cmap_scaled_sum;

/// Writes `y` [pixels, C] = scale * shortcut + offset + branch; it may be the shortcut or the branch.
int32_t cmap_scaled_sum_forward(const cmap_scaled_sum *sum, void *y, cscan_parallel_fn parallel);

/// Maps of one size, joined along channels and put in another order.
typedef struct {
  int64_t pixels, count;     ///< count: the number of maps
  int32_t type;
  const void *const *maps;   ///< [count] of [pixels, channels of the map]
  const int64_t *channels;   ///< [count]
  const int32_t *order;      ///< [sum of channels]: y's channel j is channel order[j] of the joined; optional
} cmap_join;

/// Writes `y` [pixels, sum of channels].
int32_t cmap_join_forward(const cmap_join *join, void *y, cscan_parallel_fn parallel);

#ifdef __cplusplus
}
#endif

#endif
