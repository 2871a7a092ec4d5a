#include "cmap.h"

#include <climits>

#include "variant.h"

// Checks the arguments of the map kernels and hands them to those of the instruction set in use.

namespace {

bool is_known(int32_t type) { return type == CSCAN_FLOAT32 || type == CSCAN_FLOAT64; }

}  // namespace

int32_t cmap_depthwise_forward(const cmap_depthwise *c, void *y, cscan_parallel_fn parallel) {
  // Sizes that keep every index far from overflowing.
  constexpr int64_t largest = INT32_MAX;
  if (c->batch < 0 || c->height < 1 || c->width < 1 || c->channels < 1 || c->kernel < 1 || c->stride < 1 ||
      c->padding < 0 || c->height > largest || c->width > largest || c->kernel > 1024 || c->stride > 1024 ||
      c->padding > 1024 || c->height + 2 * c->padding < c->kernel || c->width + 2 * c->padding < c->kernel) {
    return CSCAN_INVALID_SHAPE;
  }
  if (!is_known(c->type)) return CSCAN_INVALID_TYPE;
  if (!c->batch) return CSCAN_OK;
  if (!c->x || !c->weight || !y) return CSCAN_MISSING_TENSOR;
  return variant_in_use().depthwise(*c, y, parallel);
}

int32_t cmap_norm_forward(const cmap_norm *n, void *y, cscan_parallel_fn parallel) {
  if (n->batch < 0 || n->positions < 1 || n->channels < 1) return CSCAN_INVALID_SHAPE;
  if (!is_known(n->type)) return CSCAN_INVALID_TYPE;
  if (!n->batch) return CSCAN_OK;
  if (!n->x || !n->weight || !n->bias || !y) return CSCAN_MISSING_TENSOR;
  return variant_in_use().norm(*n, y, parallel);
}

int32_t cmap_scaled_sum_forward(const cmap_scaled_sum *s, void *y, cscan_parallel_fn parallel) {
  if (s->pixels < 0 || s->channels < 1) return CSCAN_INVALID_SHAPE;
  if (!is_known(s->type)) return CSCAN_INVALID_TYPE;
  if (!s->pixels) return CSCAN_OK;
  if (!s->shortcut || !s->scale || !s->offset || !s->branch || !y) return CSCAN_MISSING_TENSOR;
  return variant_in_use().scaled_sum(*s, y, parallel);
}

int32_t cmap_join_forward(const cmap_join *m, void *y, cscan_parallel_fn parallel) {
  if (m->pixels < 0 || m->count < 1 || !m->channels) return CSCAN_INVALID_SHAPE;
  int64_t total = 0;
  for (int64_t i = 0; i < m->count; ++i) {
    if (m->channels[i] < 0) return CSCAN_INVALID_SHAPE;
    total += m->channels[i];
  }
  for (int64_t j = 0; m->order && j < total; ++j) {
    if (m->order[j] < 0 || m->order[j] >= total) return CSCAN_INVALID_ORDER;
  }
  if (!is_known(m->type)) return CSCAN_INVALID_TYPE;
  if (!m->pixels || !total) return CSCAN_OK;
  if (!m->maps || !y) return CSCAN_MISSING_TENSOR;
  return variant_in_use().join(*m, y, parallel);
}
