// Backward passes, differentiable functions with a callback, gradient mode and autocast.
#include <ATen/autocast_mode.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include "internal.h"
using namespace ctorch;

namespace {

struct CallbackNode : torch::autograd::Node {
  std::string title;
  ct_backward_fn backward = nullptr;
  ct_context_free_fn context_free = nullptr;
  void *context = nullptr;
  size_t inputs = 0;

  ~CallbackNode() override { drop(); }
  std::string name() const override { return title; }
  void release_variables() override { drop(); }
  void drop() {
    if (context) context_free(context);
    context = nullptr;
  }

  torch::autograd::variable_list apply(torch::autograd::variable_list &&gradients) override {
    TORCH_CHECK(context, title, ": backward ran a second time; keep the graph with retainGraph: true");
    std::vector<ct_tensor> handles, results(inputs, nullptr);
    for (const auto &gradient : gradients) {
      handles.push_back(gradient.defined() ? reinterpret_cast<ct_tensor>(gradient.unsafeGetTensorImpl()) : nullptr);
    }
    const int32_t status = backward(
        context, handles.data(), static_cast<int32_t>(handles.size()), results.data(), static_cast<int32_t>(inputs));
    torch::autograd::variable_list out;
    for (ct_tensor result : results) out.push_back(result ? adopt(result) : at::Tensor());
    TORCH_CHECK(status == 0, title, ": ", last_error());
    return out;
  }
};

}  // namespace

extern "C" {
int32_t ct_set_requires_grad(ct_tensor tensor, bool value) {
  return guard_status([&] { ref(tensor).set_requires_grad(value); });
}
bool ct_requires_grad(ct_tensor tensor) { return guard([&] { return ref(tensor).requires_grad(); }, false); }
bool ct_is_leaf(ct_tensor tensor) { return guard([&] { return ref(tensor).is_leaf(); }, false); }
ct_tensor ct_grad(ct_tensor tensor) {
  return guard([&]() -> ct_tensor {
    const at::Tensor &gradient = ref(tensor).grad();
    return gradient.defined() ? own(gradient) : nullptr;
  }, nullptr);
}
int32_t ct_set_grad(ct_tensor tensor, ct_tensor gradient) {
  return guard_status([&] {
    const at::Tensor &leaf = ref(tensor);
    if (gradient) {
      const at::Tensor &value = ref(gradient);
      TORCH_CHECK(
          value.sizes() == leaf.sizes() && value.scalar_type() == leaf.scalar_type() && value.device() == leaf.device(),
          "a gradient has the tensor's shape, type and device, got ", value.sizes(), " ", value.scalar_type(), " on ",
          value.device());
    }
    leaf.mutable_grad() = optional(gradient);
  });
}
int32_t ct_backward(ct_tensor tensor, ct_tensor gradient, bool retain_graph) {
  return guard_status([&] { torch::autograd::backward({ref(tensor)}, {optional(gradient)}, retain_graph); });
}
int32_t ct_gradients(
    const ct_tensor *outputs, int32_t output_count, const ct_tensor *seeds, const ct_tensor *inputs,
    int32_t input_count, bool retain_graph, bool create_graph, ct_tensor *results) {
  return guard_status([&] {
    std::vector<at::Tensor> seed_list;
    if (seeds) {
      for (int32_t i = 0; i < output_count; i++) seed_list.push_back(optional(seeds[i]));
    }
    auto gradients = torch::autograd::grad(
        list(outputs, output_count), list(inputs, input_count), seed_list, retain_graph, create_graph,
        /*allow_unused=*/true);
    for (int32_t i = 0; i < input_count; i++) results[i] = gradients[i].defined() ? own(gradients[i]) : nullptr;
  });
}
bool ct_grad_enabled(void) { return c10::GradMode::is_enabled(); }
void ct_set_grad_enabled(bool enabled) { c10::GradMode::set_enabled(enabled); }

int32_t ct_custom_function(
    const ct_tensor *inputs, int32_t input_count, const ct_tensor *outputs, int32_t output_count, const char *name,
    ct_backward_fn backward, ct_context_free_fn context_free, void *context, ct_tensor *results) {
  std::shared_ptr<CallbackNode> node(new CallbackNode(), torch::autograd::deleteNode);
  node->title = name;
  node->backward = backward;
  node->context_free = context_free;
  node->context = context;
  node->inputs = static_cast<size_t>(input_count);
  return guard_status([&] {
    const std::vector<at::Tensor> variables = list(inputs, input_count);
    const bool differentiable = c10::GradMode::is_enabled() && torch::autograd::any_variable_requires_grad(variables);
    if (differentiable) node->set_next_edges(torch::autograd::collect_next_edges(variables));
    for (int32_t i = 0; i < output_count; i++) {
      at::Tensor output = ref(outputs[i]).detach();
      if (differentiable) {
        // Integers have no derivative, but keep their place among the gradients.
        if (torch::autograd::isDifferentiableType(output.scalar_type())) torch::autograd::set_history(output, node);
        else node->add_input_metadata(torch::autograd::Node::undefined_input());
      }
      results[i] = own(std::move(output));
    }
  });
}

bool ct_autocast_enabled(int32_t device_type) {
  return guard([&] { return at::autocast::is_autocast_enabled(static_cast<at::DeviceType>(device_type)); }, false);
}
int32_t ct_autocast_dtype(int32_t device_type) {
  return guard([&] {
    return static_cast<int32_t>(at::autocast::get_autocast_dtype(static_cast<at::DeviceType>(device_type)));
  }, 6);
}
int32_t ct_autocast_enter(int32_t device_type, bool enabled, int32_t dtype) {
  return guard([&] {
    at::autocast::set_autocast_enabled(static_cast<at::DeviceType>(device_type), enabled);
    at::autocast::set_autocast_dtype(static_cast<at::DeviceType>(device_type), static_cast<at::ScalarType>(dtype));
    at::autocast::increment_nesting();
    return 0;
  }, -1);
}
int32_t ct_autocast_leave(int32_t device_type, bool enabled, int32_t dtype) {
  return guard([&] {
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(static_cast<at::DeviceType>(device_type), enabled);
    at::autocast::set_autocast_dtype(static_cast<at::DeviceType>(device_type), static_cast<at::ScalarType>(dtype));
    return 0;
  }, -1);
}
}
