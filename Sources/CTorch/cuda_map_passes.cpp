// Group norm of one group, scaled sums and joins of maps stored channels last, and their gradients, on CUDA
// (kernels/map_norm.cu and kernels/map.cu).
#include <ATen/ops/zeros.h>

#include "cuda_maps.h"

namespace ctorch::cuda {
namespace {

int64_t positions_of(const at::Tensor &x) { return x.size(2) * x.size(3); }

// The sums over the rows of `partial` [rows, count].
at::Tensor sum_rows(const at::Tensor &on, const at::Tensor &partial, int32_t vector) {
  const int64_t rows = partial.size(0), count = partial.size(1);
  const at::Tensor sums = new_reals(on, {count});
  Macros macros;
  macros.set("ELEMENT", element(on.scalar_type())).set("VECTOR", vector);
  const void *source = address(partial);
  void *target = address(sums);
  launch(
      on, kernel(on, "map", "sum_rows", macros), {uint32_t(shares(count, 8))}, {8, 64}, 0, source, target, rows, count);
  return sums;
}

// ---- group norm

template <class Real>
struct Norm {
  const at::Tensor &x;
  at::ScalarType output;
  int32_t vector;
  Plan plan;
  MapNormParameters<Real> p{};

  Norm(const at::Tensor &x, const at::Tensor &y, const at::Tensor &weight, const at::Tensor &statistics)
      : x(x), output(y.scalar_type()),
        vector(std::min(
            vector_of(x.size(1), x.element_size(), addresses(x), 16),
            vector_of(x.size(1), y.element_size(), addresses(y), 16 * y.element_size() / x.element_size()))),
        plan(plan_channels(x.size(1), vector)) {
    p.x = address(x), p.y = address(y), p.weight = address(weight), p.statistics = address(statistics);
    p.positions = positions_of(x), p.channels = int32_t(x.size(1));
  }

  void run(const char *entry, const Plan &extents) const {
    Macros macros;
    macros.set("ELEMENT", element(x.scalar_type())).set("VECTOR", vector).set("OUTPUT", output != x.scalar_type());
    launch(x, kernel(x, "map_norm", entry, macros, extents.shared_bytes), extents, p);
  }

  void forward(const at::Tensor &bias, double epsilon) {
    p.bias = address(bias), p.epsilon = Real(epsilon);
    p.shares = int32_t(moment_shares(x.size(0), p.positions * p.channels, vector, facts(x).multiprocessors));
    const at::Tensor moments = new_reals(x, {x.size(0) * p.shares, 3});
    p.partial = address(moments);
    run("map_moments", {x.size(0) * p.shares, 1, 256, 1, 0});
    p.blocks = int32_t(norm_blocks(plan, x.size(0), p.positions, facts(x).multiprocessors, 6));
    plan.blocks = x.size(0) * p.blocks;
    run("map_norm", plan);
  }

  // Gives the gradients of the weight and of the bias, one after the other.
  at::Tensor backward(const at::Tensor &dx) {
    p.blocks = int32_t(norm_blocks(plan, x.size(0), p.positions, facts(x).multiprocessors, 4));
    p.shares = p.blocks, p.dx = address(dx);
    const int64_t blocks = x.size(0) * p.blocks;
    const at::Tensor sums = new_reals(x, {blocks * plan.groups, 2}), by_channel = new_reals(x, {blocks, 2 * x.size(1)});
    p.partial = address(sums), p.channel_sums = address(by_channel);
    Plan summing = plan;
    summing.blocks = plan.blocks = blocks;
    summing.shared_bytes = sums_bytes(plan, vector, real_bytes(x));
    run("map_norm_sums", summing);
    p.shares = int32_t(p.blocks * plan.groups);
    run("map_norm_backward", plan);
    return sum_rows(x, by_channel, vector);
  }
};

at::ScalarType output_type(const at::Tensor &x, at::ScalarType output) {
  TORCH_CHECK(
      output == x.scalar_type() || output == real_type(x), "group norm: expected a result in ", x.scalar_type(), " or ",
      real_type(x), ", got ", output);
  return output;
}

}  // namespace

std::vector<at::Tensor> map_norm(
    const at::Tensor &x_, const at::Tensor &weight_, const at::Tensor &bias_, double epsilon, at::ScalarType output) {
  const at::Tensor x = map("group norm", x_);
  const at::Tensor weight = parameter("weight of the group norm", weight_, x, {x.size(1)});
  const at::Tensor bias = parameter("bias of the group norm", bias_, x, {x.size(1)});
  TORCH_CHECK(weight.defined() && bias.defined(), "group norm: expected a weight and a bias");
  const at::Tensor y = new_map(x, output_type(x, output)), statistics = new_reals(x, {x.size(0), 2});
  if (x.numel() == 0) return {y, statistics.zero_()};
  if (x.scalar_type() == at::kDouble) {
    Norm<double>(x, y, weight, statistics).forward(bias, epsilon);
  } else {
    Norm<float>(x, y, weight, statistics).forward(bias, epsilon);
  }
  return {y, statistics};
}

std::vector<at::Tensor> map_norm_backward(
    const at::Tensor &dy_, const at::Tensor &x_, const at::Tensor &statistics_, const at::Tensor &weight_) {
  const at::Tensor x = map("group norm", x_);
  const bool wide = dy_.scalar_type() == real_type(x);
  const at::Tensor dy = map_like("gradient of the group norm", dy_, x, wide ? real_type(x) : x.scalar_type());
  const at::Tensor weight = parameter("weight of the group norm", weight_, x, {x.size(1)});
  const at::Tensor statistics = parameter("statistics of the group norm", statistics_, x, {x.size(0), 2});
  TORCH_CHECK(weight.defined() && statistics.defined(), "group norm: expected a weight and statistics");
  const int64_t channels = x.size(1);
  const at::Tensor dx = new_map(x, x.scalar_type());
  at::Tensor gradients;
  if (x.numel() == 0) {
    gradients = at::zeros({2 * channels}, weight.options());
  } else if (x.scalar_type() == at::kDouble) {
    gradients = Norm<double>(x, dy, weight, statistics).backward(dx);
  } else {
    gradients = Norm<float>(x, dy, weight, statistics).backward(dx);
  }
  return {
      dx, gradients.narrow(0, 0, channels).to(weight_.scalar_type()),
      gradients.narrow(0, channels, channels).to(weight_.scalar_type())};
}

// ---- scaled sum

at::Tensor scaled_sum(
    const at::Tensor &shortcut_, const at::Tensor &scale_, const at::Tensor &offset_, const at::Tensor &branch_) {
  const at::Tensor shortcut = map("shortcut", shortcut_);
  const at::Tensor branch = map_like("branch", branch_, shortcut, shortcut.scalar_type());
  const at::Tensor scale = parameter("scale", scale_, shortcut, {shortcut.size(1)});
  const at::Tensor offset = parameter("offset", offset_, shortcut, {shortcut.size(1)});
  const at::Tensor y = new_map(shortcut, shortcut.scalar_type());
  if (y.numel() == 0) return y;
  const int32_t vector =
      vector_of(shortcut.size(1), shortcut.element_size(), addresses(shortcut, branch, y), 16);
  ScaledSumParameters p{};
  p.shortcut = address(shortcut), p.branch = address(branch), p.scale = address(scale), p.offset = address(offset);
  p.y = address(y), p.pixels = shortcut.size(0) * positions_of(shortcut), p.channels = int32_t(shortcut.size(1));
  Plan plan = plan_channels(shortcut.size(1), vector);
  plan.blocks = sharing_blocks(plan, p.pixels, facts(shortcut).multiprocessors, 4);
  Macros macros;
  macros.set("ELEMENT", element(shortcut.scalar_type())).set("VECTOR", vector);
  launch(shortcut, kernel(shortcut, "map", "scaled_sum", macros), plan, p);
  return y;
}

std::vector<at::Tensor> scaled_sum_backward(
    const at::Tensor &dy_, const at::Tensor &shortcut_, const at::Tensor &scale_) {
  if (!scale_.defined()) return {dy_, at::Tensor(), at::Tensor()};
  const at::Tensor shortcut = map("shortcut", shortcut_);
  const at::Tensor dy = map_like("gradient of the scaled sum", dy_, shortcut, shortcut.scalar_type());
  const at::Tensor scale = parameter("scale", scale_, shortcut, {shortcut.size(1)});
  const int64_t channels = shortcut.size(1);
  const at::Tensor dshortcut = new_map(shortcut, shortcut.scalar_type());
  at::Tensor gradients;
  if (shortcut.numel() == 0) {
    gradients = at::zeros({2 * channels}, scale.options());
  } else {
    const int32_t vector =
        vector_of(channels, shortcut.element_size(), addresses(shortcut, dy, dshortcut), 16);
    ScaledSumParameters p{};
    p.shortcut = address(shortcut), p.branch = address(dy), p.scale = address(scale), p.y = address(dshortcut);
    p.pixels = shortcut.size(0) * positions_of(shortcut), p.channels = int32_t(channels);
    Plan plan = plan_channels(channels, vector);
    plan.blocks = sharing_blocks(plan, p.pixels, facts(shortcut).multiprocessors, 4);
    plan.shared_bytes = sums_bytes(plan, vector, real_bytes(shortcut));
    const at::Tensor partial = new_reals(shortcut, {plan.blocks, 2 * channels});
    p.partial = address(partial);
    Macros macros;
    macros.set("ELEMENT", element(shortcut.scalar_type())).set("VECTOR", vector);
    launch(shortcut, kernel(shortcut, "map", "scaled_sum_backward", macros, plan.shared_bytes), plan, p);
    gradients = sum_rows(shortcut, partial, vector);
  }
  return {
      dshortcut, gradients.narrow(0, 0, channels).to(scale_.scalar_type()),
      gradients.narrow(0, channels, channels).to(scale_.scalar_type())};
}

// ---- join

namespace {

void move_joined(
    const char *entry, const std::vector<at::Tensor> &maps, const at::Tensor &joined, const at::Tensor &order) {
  if (joined.numel() == 0) return;
  const int64_t bytes = joined.element_size();
  JoinParameters p{};
  p.count = int32_t(maps.size()), p.joined = address(joined), p.order = address(order);
  p.pixels = joined.size(0) * positions_of(joined);
  int32_t vector = 16;
  for (int32_t i = 0; i < p.count; i++) {
    p.maps[i] = address(maps[i]);
    p.first[i + 1] = p.first[i] + int32_t(maps[i].size(1));
    vector = std::min(vector, vector_of(maps[i].size(1), bytes, addresses(maps[i], joined), 16));
  }
  const ccuda_device &device = facts(joined);
  const Plan plan = plan_join(p, vector, bytes, device.multiprocessors);
  TORCH_CHECK(
      plan.shared_bytes <= device.shared_bytes, "join: an order of ", joined.size(1),
      " channels does not fit the GPU's shared memory of ", device.shared_bytes, " bytes");
  Macros macros;
  macros.set("ELEMENT", element(joined.scalar_type())).set("VECTOR", vector);
  launch(joined, kernel(joined, "map", entry, macros, plan.shared_bytes), plan, p);
}

at::Tensor order_of(const at::Tensor &order, const at::Tensor &on, int64_t channels) {
  if (!order.defined()) return order;
  TORCH_CHECK(
      order.scalar_type() == at::kInt && order.dim() == 1 && order.size(0) == channels && order.device() == on.device(),
      "order: expected [", channels, "] of Int on ", on.device(), ", got ", order.sizes(), " of ", order.scalar_type(),
      " on ", order.device());
  return order.contiguous();
}

}  // namespace

at::Tensor join(const std::vector<at::Tensor> &maps_, const at::Tensor &order_) {
  TORCH_CHECK(
      !maps_.empty() && maps_.size() <= JoinParameters::most, "join: expected 1 to ", JoinParameters::most, " maps, got ",
      maps_.size());
  std::vector<at::Tensor> maps;
  int64_t channels = 0;
  for (const at::Tensor &each : maps_) {
    maps.push_back(map("map", each));
    const at::Tensor &x = maps.back(), &first = maps.front();
    TORCH_CHECK(
        x.size(0) == first.size(0) && x.size(2) == first.size(2) && x.size(3) == first.size(3) &&
            x.scalar_type() == first.scalar_type() && x.device() == first.device(),
        "maps to be joined differ: ", first.sizes(), " of ", first.scalar_type(), " and ", x.sizes(), " of ",
        x.scalar_type());
    channels += x.size(1);
  }
  const at::Tensor &first = maps.front();
  const at::Tensor y = new_map(first, channels, first.size(2), first.size(3), first.scalar_type());
  move_joined("join", maps, y, order_of(order_, first, channels));
  return y;
}

std::vector<at::Tensor> join_backward(
    const at::Tensor &dy_, const std::vector<int64_t> &channels, const at::Tensor &order_) {
  const at::Tensor dy = map("gradient of the join", dy_);
  TORCH_CHECK(
      !channels.empty() && channels.size() <= JoinParameters::most, "join: expected 1 to ", JoinParameters::most,
      " maps, got ", channels.size());
  std::vector<at::Tensor> maps;
  int64_t total = 0;
  for (const int64_t count : channels) {
    maps.push_back(new_map(dy, count, dy.size(2), dy.size(3), dy.scalar_type()));
    total += count;
  }
  TORCH_CHECK(total == dy.size(1), "gradient of the join: expected ", total, " channels, got ", dy.size(1));
  move_joined("join_backward", maps, dy, order_of(order_, dy, total));
  return maps;
}

}  // namespace ctorch::cuda
