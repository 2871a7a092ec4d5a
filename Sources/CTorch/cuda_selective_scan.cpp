// The one-dimensional selective scan on GPUs: kernels/selective_scan.cu and kernels/selective_scan_backward.cu.
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "cuda.h"
using namespace ctorch;

namespace {

// ---- the kernels' parameters

struct Rows {
  void *data;
  int64_t batch;
  int32_t channel, position, layout;
};

struct Coefficients {
  void *data;
  int64_t batch, group;
  int32_t state, position;
};

struct Scan {
  Rows u, delta, z;
  Coefficients b, c;
  const void *a, *d, *bias;
  int32_t batch, channels, groups, length, warps, splits, span;
};

struct Gradients {
  Rows y, u, delta, z;
  void *a, *d, *bias, *sums, *states;
  const void *entries, *returns;
};

void *data(const at::Tensor &tensor) { return tensor.defined() ? tensor.data_ptr() : nullptr; }

// The enumeration Layout: 0 if positions follow one another and channels start at multiples of 16 bytes, 1 if they only
// follow one another, 2 else.
int32_t layout(const at::Tensor &tensor) {
  if (tensor.stride(2) != 1) return 2;
  const auto aligned = [&](int64_t count) { return count * tensor.element_size() % 16 == 0; };
  const bool starts = reinterpret_cast<uintptr_t>(tensor.data_ptr()) % 16 == 0;
  return starts && aligned(tensor.stride(0)) && aligned(tensor.stride(1)) ? 0 : 1;
}

Rows rows(const at::Tensor &tensor) {
  if (!tensor.defined()) return {};
  return {
      tensor.data_ptr(), tensor.stride(0), static_cast<int32_t>(tensor.stride(1)),
      static_cast<int32_t>(tensor.stride(2)), layout(tensor)};
}

Coefficients coefficients(const at::Tensor &tensor) {
  return {
      tensor.data_ptr(), tensor.stride(0), tensor.stride(1), static_cast<int32_t>(tensor.stride(2)),
      static_cast<int32_t>(tensor.stride(3))};
}

// The kernels step along the last two dimensions in 32 bits.
at::Tensor with_short_strides(const at::Tensor &tensor) {
  const int64_t last = tensor.dim() - 1;
  return std::max(tensor.stride(last), tensor.stride(last - 1)) > INT32_MAX / 32 ? tensor.contiguous() : tensor;
}

uint32_t blocks(int64_t count, int64_t each) { return static_cast<uint32_t>((count + each - 1) / each); }

// ---- one call

// The arithmetic's type: float32 whatever the elements are, float64 for float64.
at::ScalarType arithmetic(const at::Tensor &u) { return u.scalar_type() == at::kDouble ? at::kDouble : at::kFloat; }

// Operands in the types that the kernels take, and how the work is divided.
struct Call {
  static constexpr int64_t chunk = 8;
  at::Tensor u, delta, a, b, c, d, z, bias;
  int64_t batch, channels, groups, states, length;
  int64_t slice;  // states in registers
  int64_t tile, block_warps, block_count;  // positions, and warps of a block and blocks of a multiprocessor at least
  int64_t warps, splits, span;
  int64_t held_bytes;  // shared memory of a block
  bool softplus, is_backward;
  bool whole;  // whether all tiles are full and their rows aligned

  Call(const std::vector<at::Tensor> &inputs, bool softplus, bool is_backward)
      : softplus(softplus), is_backward(is_backward) {
    TORCH_CHECK(inputs[0].dim() == 3, "selective scan: expected u of [B, D, L], got ", inputs[0].sizes());
    u = with_short_strides(inputs[0]);
    TORCH_CHECK(inputs[3].dim() == 4, "selective scan: expected B of [B, G, N, L], got ", inputs[3].sizes());
    batch = u.size(0), channels = u.size(1), length = u.size(2);
    groups = inputs[3].size(1), states = inputs[3].size(2);
    TORCH_CHECK(
        groups > 0 && states > 0 && channels % groups == 0, "selective scan: expected groups that divide the ",
        channels, " channels, and a state, got ", groups, " groups of ", states, " states");
    TORCH_CHECK(length < 1 << 26, "selective scan: expected fewer than 2^26 positions, got ", length);
    const at::ScalarType type = u.scalar_type(), real = arithmetic(u);
    const auto operand = [&](const char *name, const at::Tensor &tensor, at::IntArrayRef shape, bool parameter) {
      if (!tensor.defined()) return tensor;
      TORCH_CHECK(
          tensor.sizes() == shape && tensor.device() == u.device(), "selective scan: expected ", name, " of ", shape,
          " on ", u.device(), ", got ", tensor.sizes(), " on ", tensor.device());
      return parameter ? tensor.to(real).contiguous() : with_short_strides(tensor.to(type));
    };
    delta = operand("delta", inputs[1], u.sizes(), false);
    a = operand("A", inputs[2], {channels, states}, true);
    b = operand("B", inputs[3], {batch, groups, states, length}, false);
    c = operand("C", inputs[4], {batch, groups, states, length}, false);
    d = operand("D", inputs[5], {channels}, true);
    z = operand("z", inputs[6], u.sizes(), false);
    bias = operand("the bias of delta", inputs[7], {channels}, true);
  }

  bool is_empty() const { return batch == 0 || channels == 0 || length == 0; }

  // Divides the work; `others` are what else the kernels read or write of [B, D, L].
  void divide(const std::vector<at::Tensor> &others) {
    slice = std::min<int64_t>(states, 16);
    while (states % slice != 0) slice--;
    warps = (channels / groups + 31) / 32;
    const int64_t most = cuda::facts(u).shared_bytes, multiprocessors = cuda::facts(u).multiprocessors;
    const auto fits = [](const at::Tensor &tensor) { return !tensor.defined() || layout(tensor) == 0; };
    const bool aligned = fits(u) && fits(delta) && fits(z) && std::all_of(others.begin(), others.end(), fits);
    choose_tile(aligned, most);
    TORCH_CHECK(shared_bytes() <= most, "selective scan: expected states that fit into the ", most,
        " bytes of a block's shared memory, got N = ", states);

    // Long scans of few channels: parts of the positions at once, at the price of going over them twice.
    const int64_t units = batch * groups * warps;
    splits = std::max<int64_t>(1, std::min(12 * multiprocessors / units, length / 256));
    span = ((length + splits - 1) / splits + tile - 1) / tile * tile;
    splits = (length + span - 1) / span;

    // Blocks last equally long, so a last round with few of them costs as much as a full one: as many side by side as
    // make the rounds full. Shared memory that nobody uses keeps more of them out.
    held_bytes = shared_bytes();
    if (!whole || splits > 1) return;
    const int64_t all = blocks(units, block_warps);
    int64_t best = INT64_MAX, resident = block_count;
    for (int64_t count = block_count; 2 * count > block_count; count--) {
      const int64_t cost = (all + multiprocessors * count - 1) / (multiprocessors * count) * count;
      if (cost < best) best = cost, resident = count;
    }
    held_bytes = std::max(held_bytes, std::min(most, (most + 1024) / resident / 128 * 128 - 1024));
  }

  // Long rows of a tile make the memory fast; enough warps must be side by side to hide its latency.
  void choose_tile(bool aligned, int64_t most) {
    const bool is_double = u.scalar_type() == at::kDouble;
    block_warps = 4, block_count = is_double ? 1 : 3;
    const auto fits = [&] { return block_count * (shared_bytes() + 1024) <= most + 1024; };
    for (tile = is_backward ? 32 : 64; tile >= 16; tile /= 2) {
      whole = aligned && length % tile == 0 && fits();
      if (whole) return;
    }
    // Few states leave registers for more warps. Channels that follow one another come in full pieces from short tiles.
    const bool few = slice <= 8, across = layout(delta) == 2;
    tile = is_backward ? (few ? 8 : 16) : (across ? 8 : 16);
    block_count = is_backward ? (few ? 3 : 2) : (few ? 4 : across ? 3 : 2);
    if (is_double) block_count = 1;
    while (!fits() && block_count * block_warps > 1) block_count > 1 ? block_count-- : block_warps /= 2;
  }

  int64_t real_bytes() const { return u.scalar_type() == at::kDouble ? 8 : 4; }

  // The size of the kernels' struct Shared, for a block.
  int64_t shared_bytes() const {
    const int64_t bytes = u.element_size();
    const auto tiles = [](int64_t width, int64_t size) { return 32 * (width * size + 16); };
    const int64_t pitch = slice % 4 == 0 && slice >= 8 ? slice + 4 : slice;
    const int64_t pairs = 2 * (states / slice) * ((tile * pitch + 3) / 4 * 4);
    const int64_t kept = is_backward ? 3 * states : states > slice ? states : 0;
    const int64_t read = (z.defined() ? 3 : 2) * tiles(tile, bytes);
    const int64_t numbers = tiles(is_backward ? tile : std::min<int64_t>(tile, 16), real_bytes());
    const int64_t warp = read + numbers + (pairs + 32 * kept) * real_bytes();
    return warp * block_warps;
  }

  cuda::Macros macros() const {
    cuda::Macros macros;
    macros.set("ELEMENT", cuda::element(u.scalar_type())).set("STATES", slice).set("SLICES", states / slice);
    macros.set("TILE", tile).set("SOFTPLUS", softplus).set("GATE", z.defined());
    return macros.set("WARPS", block_warps).set("BLOCKS", block_count).set("WHOLE", whole);
  }

  Scan scan() const {
    const auto size = [](int64_t value) { return static_cast<int32_t>(value); };
    return {
        rows(u),     rows(delta), rows(z),        coefficients(b), coefficients(c), data(a),    data(d),
        data(bias),  size(batch), size(channels), size(groups),    size(length),    size(warps), size(splits),
        size(span)};
  }

  int64_t units() const { return batch * groups * warps * splits; }

  at::Tensor numbers(at::IntArrayRef sizes) const { return at::empty(sizes, u.options().dtype(arithmetic(u))); }

  // Starts a kernel with a warp for each unit of the work.
  template <class... Arguments>
  void walk(const char *program, const char *entry, const Arguments &...arguments) const {
    const ccuda_kernel kernel = cuda::kernel(u, program, entry, macros(), held_bytes);
    const cuda::Extent grid{blocks(units(), block_warps)}, block{static_cast<uint32_t>(32 * block_warps)};
    cuda::launch(u, kernel, grid, block, held_bytes, scan(), arguments...);
  }

  // What the parts of a split scan give to their neighbours, as what each takes.
  void join(const at::Tensor &states, const at::Tensor &sums, bool backwards) const {
    const int64_t count = batch * channels;
    const ccuda_kernel kernel = cuda::kernel(u, "selective_scan", "selective_scan_join", macros());
    cuda::launch(
        u, kernel, {blocks(states.numel() / splits, 128)}, {128}, 0, data(a), data(states), data(sums), count,
        static_cast<int32_t>(channels), static_cast<int32_t>(splits), static_cast<int32_t>(backwards));
  }

  // The states before each part, [splits, B, D, N], and the sums of the parts' steps; undefined if there is one part.
  std::vector<at::Tensor> entries() const {
    if (splits == 1) return {at::Tensor(), at::Tensor()};
    const at::Tensor entries = numbers({splits, batch, channels, states}), sums = numbers({splits, batch, channels});
    walk("selective_scan", "selective_scan_summary", data(entries), data(sums));
    join(entries, sums, false);
    return {entries, sums};
  }
};

}  // namespace

std::vector<at::Tensor> cuda::selective_scan_forward(const std::vector<at::Tensor> &inputs, bool softplus) {
  Call call(inputs, softplus, false);
  const auto options = call.u.options().dtype(arithmetic(call.u));
  // Where the steps have channels that follow one another, so does what comes after the scan.
  const bool channels_last = call.delta.stride(1) == 1 && call.delta.stride(2) != 1;
  const at::Tensor y = channels_last ? at::empty({call.batch, call.length, call.channels}, options).transpose(1, 2)
                                     : at::empty({call.batch, call.channels, call.length}, options);
  if (call.is_empty()) return {y, at::zeros({call.batch, call.channels, call.states}, options)};
  call.divide({y});
  const at::Tensor last = call.numbers({call.batch, call.channels, call.states}), entries = call.entries()[0];
  call.walk("selective_scan", "selective_scan_forward", rows(y), data(entries), data(last));
  return {y, last};
}

std::vector<at::Tensor> cuda::selective_scan_backward(
    const at::Tensor &dy_, const std::vector<at::Tensor> &inputs, bool softplus) {
  Call call(inputs, softplus, true);
  TORCH_CHECK(
      dy_.sizes() == call.u.sizes() && dy_.device() == call.u.device(),
      "selective scan: expected the gradient of y of ", call.u.sizes(), " on ", call.u.device(), ", got ",
      dy_.sizes(), " on ", dy_.device());
  std::vector<at::Tensor> out;
  if (call.is_empty()) {
    for (const at::Tensor &input : inputs) out.push_back(input.defined() ? at::zeros_like(input) : at::Tensor());
    return out;
  }
  const at::Tensor dy = with_short_strides(dy_.to(arithmetic(call.u)));
  const at::Tensor du = at::empty_like(call.u), ddelta = at::empty_like(call.delta);
  const at::Tensor db = at::empty_like(call.b), dc = at::empty_like(call.c);
  const at::Tensor dz = call.z.defined() ? at::empty_like(call.z) : at::Tensor();

  call.divide({dy, du, ddelta, dz});
  const std::vector<at::Tensor> summary = call.entries();
  at::Tensor returns;
  if (call.splits > 1) {
    returns = call.numbers(summary[0].sizes());
    call.walk("selective_scan_backward", "selective_scan_returns", rows(dy), data(returns));
    call.join(returns, summary[1], true);
  }
  const int64_t parts = call.splits * call.batch, chunks = (call.length + Call::chunk - 1) / Call::chunk;
  const at::Tensor da = call.numbers({parts, call.channels, call.states}), dd = call.numbers({parts, call.channels});
  const at::Tensor dbias = call.numbers({parts, call.channels});
  const at::Tensor states = call.numbers({call.units(), call.span / Call::chunk, call.states, 32});
  const at::Tensor sums =
      call.numbers({call.batch * call.groups, call.warps, chunks, 2 * Call::chunk * call.states});
  const Gradients gradients{
      rows(dy),   rows(du),    rows(ddelta), rows(dz),     data(da),         data(dd),
      data(dbias), data(sums), data(states), data(summary[0]), data(returns)};
  call.walk("selective_scan_backward", "selective_scan_backward", gradients);
  const ccuda_kernel kernel =
      cuda::kernel(call.u, "selective_scan_backward", "selective_scan_coefficients", call.macros());
  cuda::launch(
      call.u, kernel, {blocks(sums.numel() / call.warps, 256)}, {256}, 0, call.scan(), data(sums), coefficients(db),
      coefficients(dc));

  out = {du, ddelta, da.sum(0), db, dc, dd.sum(0), dz, dbias.sum(0)};
  for (size_t i = 0; i < out.size(); i++) {
    out[i] = inputs[i].defined() ? out[i].to(inputs[i].scalar_type()) : at::Tensor();
  }
  return out;
}
