// Depthwise convolutions of maps stored channels last, and their gradients, on CUDA (kernels/depthwise*.cu).
#include <ATen/ops/zeros.h>

#include "cuda_maps.h"

namespace ctorch::cuda {
namespace {

struct Convolution {
  at::Tensor x, weight, bias;
  int64_t window, stride, padding, rows, columns;
  bool adds_input;
  int32_t activation;

  Convolution(
      const at::Tensor &x_, const at::Tensor &weight_, const at::Tensor &bias_, int64_t stride, int64_t padding,
      bool adds_input, int32_t activation)
      : x(map("depthwise convolution", x_)), window(weight_.size(-1)), stride(stride), padding(padding),
        adds_input(adds_input), activation(activation) {
    TORCH_CHECK(
        window >= 1 && window <= 13, "depthwise convolution: expected a window of 1 to 13 pixels a side, got ", window);
    TORCH_CHECK(
        stride > 0 && padding >= 0 && stride < 1 << 20 && padding < 1 << 20 && x.size(2) + 2 * padding >= window &&
            x.size(3) + 2 * padding >= window,
        "depthwise convolution: a window of ", window, " with stride ", stride, " does not fit a map of ", x.size(2),
        " by ", x.size(3), " padded by ", padding);
    TORCH_CHECK(
        !adds_input || (stride == 1 && 2 * padding + 1 == window),
        "depthwise convolution: the input is added only to a result of its size, got a window of ", window,
        " with stride ", stride, " and padding ", padding);
    TORCH_CHECK(
        activation >= 0 && activation <= 4, "depthwise convolution: expected an activation of 0 to 4, got ", activation);
    weight = parameter("weight of the depthwise convolution", weight_, x, {x.size(1), 1, window, window});
    bias = parameter("bias of the depthwise convolution", bias_, x, {x.size(1)});
    rows = (x.size(2) + 2 * padding - window) / stride + 1;
    columns = (x.size(3) + 2 * padding - window) / stride + 1;
  }

  // `to` = activation(z), or dy activation'(z) where dy is defined, for z = conv(from) + bias.
  // With `spreads` instead the gradient of x, from that of z.
  void run(const at::Tensor &to, const at::Tensor &from, const at::Tensor &dy, int32_t follows, bool spreads) const {
    if (to.numel() == 0) return;
    const bool dense = stride == 1;
    DepthwiseParameters p{};
    p.x = address(from), p.y = address(to), p.dy = address(dy);
    p.weight = address(weight), p.bias = spreads ? nullptr : address(bias);
    p.height = int32_t(from.size(2)), p.width = int32_t(from.size(3));
    p.rows = int32_t(to.size(2)), p.columns = int32_t(to.size(3)), p.channels = int32_t(x.size(1));
    // At stride 1 the gradient is a convolution too, by the window turned round.
    p.padding = int32_t(spreads && dense ? window - 1 - padding : padding);
    p.flipped = spreads && dense, p.adds_input = adds_input;
    const int64_t multiprocessors = facts(x).multiprocessors;
    Macros macros;
    macros.set("ELEMENT", element(x.scalar_type())).set("WINDOW", window);
    macros.set("ACTIVATION", follows).set("GRADIENT", dy.defined());
    if (has_tiles(window, stride, x.size(1), x.element_size(), addresses(from, to, dy))) {
      const Plan plan = plan_tiles(p, x.size(0), window, dy.defined(), multiprocessors);
      launch(x, kernel(x, "depthwise_tiles", "depthwise_tiles", macros, plan.shared_bytes), plan, p);
      return;
    }
    const int32_t vector = dense ? depthwise_vector(x.size(1), x.element_size(), addresses(from, to, dy))
                                 : strided_vector(x.size(1), x.element_size(), addresses(from, to, dy), spreads);
    const int32_t across = dense ? depthwise_columns(window, p.columns) : 0;
    const Plan plan = dense ? plan_strips(p, x.size(0), window, vector, across, real_bytes(x), multiprocessors)
                            : plan_pixels(p, x.size(0), window, vector, real_bytes(x), multiprocessors);
    const char *entry = dense ? "depthwise_strips" : spreads ? "depthwise_spread" : "depthwise_pixels";
    macros.set("VECTOR", vector).set(dense ? "COLUMNS" : "STRIDE", dense ? across : stride);
    launch(x, kernel(x, "depthwise", entry, macros, plan.shared_bytes), plan, p);
  }

  // The gradients of the weight and of the bias, one after the other.
  at::Tensor parameter_gradients(const at::Tensor &dz) const {
    const int64_t channels = x.size(1), count = channels * (window * window + 1);
    if (dz.numel() == 0) return at::zeros({count}, x.options().dtype(real_type(x)));
    DepthwiseWeightParameters p{};
    p.x = address(x), p.dz = address(dz);
    p.height = int32_t(x.size(2)), p.width = int32_t(x.size(3)), p.rows = int32_t(rows), p.columns = int32_t(columns);
    p.channels = int32_t(channels), p.padding = int32_t(padding);
    const int64_t multiprocessors = facts(x).multiprocessors;
    const bool strips = stride == 1 && window <= 7;
    const bool tiled = has_tiles(window, stride, channels, x.element_size(), addresses(x, dz)) && rows <= x.size(2) &&
                       columns <= x.size(3);
    const int32_t vector = tiled ? 1 : depthwise_vector(channels, x.element_size(), addresses(x, dz));
    const int32_t across = depthwise_columns(window, columns), held = weight_rows(window);
    const WeightTiles tiles = weight_tiles_of(window, columns, channels);
    const Plan plan = tiled ? plan_weight_tiles(p, x.size(0), tiles, multiprocessors)
                            : plan_weight(
                                  p, x.size(0), window, vector, strips ? across : 0, held, real_bytes(x), multiprocessors);
    const int32_t blocks = int32_t(plan.blocks / p.tiles);
    const at::Tensor partial = new_reals(x, {blocks, count}), gradients = new_reals(x, {count});
    p.partial = address(partial);
    Macros set, adding;
    set.set("ELEMENT", element(x.scalar_type())).set("WINDOW", window);
    adding = set;
    adding.set("VECTOR", 1);
    if (tiled) {
      set.set("TILES", tiles.tiles).set("GROUPS", tiles.groups).set("PARTS", tiles.parts).set("SPLIT", tiles.split);
    } else if (strips) {
      set.set("VECTOR", vector).set("COLUMNS", across);
    } else {
      set.set("VECTOR", vector).set("STRIDE", stride).set("ROWS", held);
    }
    const char *program = tiled ? "depthwise_weight_tiles" : "depthwise_weight";
    const char *entry = tiled ? program : strips ? "depthwise_weight_strips" : "depthwise_weight_pixels";
    launch(x, kernel(x, program, entry, set, plan.shared_bytes), plan, p);
    const void *source = p.partial;
    void *target = address(gradients);
    launch(
        x, kernel(x, "depthwise_weight", "depthwise_weight_sum", adding), {uint32_t(shares(count, 8))}, {8, 64}, 0, source,
        target, blocks, p.channels);
    return gradients;
  }
};

}  // namespace

at::Tensor depthwise(
    const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias, int64_t stride, int64_t padding,
    bool adds_input, int32_t activation) {
  const Convolution c(x, weight, bias, stride, padding, adds_input, activation);
  at::Tensor y = new_map(c.x, c.x.size(1), c.rows, c.columns, c.x.scalar_type());
  c.run(y, c.x, at::Tensor(), activation, false);
  return y;
}

std::vector<at::Tensor> depthwise_backward(
    const at::Tensor &dy, const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias, int64_t stride,
    int64_t padding, bool adds_input, int32_t activation) {
  const Convolution c(x, weight, bias, stride, padding, adds_input, activation);
  const at::Tensor dx = new_map(c.x, c.x.scalar_type());
  at::Tensor dz = new_map(c.x, c.x.size(1), c.rows, c.columns, c.x.scalar_type());
  const at::Tensor upstream = map_like("gradient of the depthwise convolution", dy, dz, c.x.scalar_type());
  if (activation == 0) {
    dz = upstream;
  } else {
    c.run(dz, c.x, upstream, activation, false);
  }
  c.run(dx, dz, at::Tensor(), 0, true);
  const at::Tensor gradients = c.parameter_gradients(dz);
  const int64_t weights = c.weight.numel();
  return {
      dx, gradients.narrow(0, 0, weights).view(c.weight.sizes()).to(weight.scalar_type()),
      bias.defined() ? gradients.narrow(0, weights, c.x.size(1)).to(bias.scalar_type()) : at::Tensor()};
}

}  // namespace ctorch::cuda
