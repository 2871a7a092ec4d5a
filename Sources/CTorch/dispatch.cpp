// Any ATen operator, by schema name, through the dispatcher.
#include <ATen/core/Generator.h>
#include <ATen/core/List.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <cstdlib>

#include "internal.h"
using namespace ctorch;

namespace {

c10::IValue to_ivalue(const ct_value &argument) {
  const void *pointer = argument.value.pointer;
  const auto count = static_cast<size_t>(argument.count);
  switch (argument.tag) {
    case CT_NONE: return {};
    case CT_TENSOR: {
      auto handle = static_cast<ct_tensor>(const_cast<void *>(pointer));
      return ref(handle);
    }
    case CT_INT: return argument.value.integer;
    case CT_DOUBLE: return argument.value.real;
    case CT_BOOL: return argument.value.integer != 0;
    case CT_INTS: return at::IntArrayRef(static_cast<const int64_t *>(pointer), count);
    case CT_DOUBLES: return at::ArrayRef<double>(static_cast<const double *>(pointer), count);
    case CT_NUMBERS: {
      c10::List<std::optional<at::Scalar>> values;
      for (size_t i = 0; i < count; i++) values.push_back(at::Scalar(static_cast<const double *>(pointer)[i]));
      return values;
    }
    case CT_BOOLS: {
      c10::List<bool> values;
      for (size_t i = 0; i < count; i++) values.push_back(static_cast<const int64_t *>(pointer)[i] != 0);
      return values;
    }
    case CT_TENSORS: {
      c10::List<at::Tensor> tensors;
      tensors.reserve(count);
      for (size_t i = 0; i < count; i++) tensors.push_back(ref(static_cast<const ct_tensor *>(pointer)[i]));
      return tensors;
    }
    case CT_OPTIONAL_TENSORS: {
      c10::List<std::optional<at::Tensor>> tensors;
      tensors.reserve(count);
      for (size_t i = 0; i < count; i++) {
        ct_tensor handle = static_cast<const ct_tensor *>(pointer)[i];
        tensors.push_back(handle ? std::optional<at::Tensor>(ref(handle)) : std::nullopt);
      }
      return tensors;
    }
    case CT_STRING: return std::string(static_cast<const char *>(pointer));
    case CT_DEVICE:
      return c10::Device(
          static_cast<c10::DeviceType>(argument.value.integer >> 8),
          static_cast<c10::DeviceIndex>(static_cast<int8_t>(argument.value.integer & 0xff)));
    case CT_GENERATOR: return *static_cast<const at::Generator *>(pointer);
    default: TORCH_CHECK(false, "unknown argument tag ", argument.tag);
  }
}

ct_value from_ivalue(c10::IValue &&result) {
  ct_value out{};
  if (result.isTensor() && !result.toTensor().defined()) {
    out.tag = CT_NONE;
  } else if (result.isTensor()) {
    out.tag = CT_TENSOR;
    out.value.pointer = own(std::move(result).toTensor());
  } else if (result.isInt()) {
    out.tag = CT_INT;
    out.value.integer = result.toInt();
  } else if (result.isDouble()) {
    out.tag = CT_DOUBLE;
    out.value.real = result.toDouble();
  } else if (result.isBool()) {
    out.tag = CT_BOOL;
    out.value.integer = result.toBool();
  } else if (result.isTensorList()) {
    std::vector<at::Tensor> tensors = result.toTensorVector();
    for (const auto &tensor : tensors) TORCH_CHECK(tensor.defined(), "a list of results with an undefined tensor");
    auto *handles = static_cast<ct_tensor *>(std::malloc(sizeof(ct_tensor) * std::max<size_t>(1, tensors.size())));
    TORCH_CHECK(handles, "out of memory");
    for (size_t i = 0; i < tensors.size(); i++) handles[i] = own(std::move(tensors[i]));
    out.tag = CT_TENSORS;
    out.count = static_cast<int32_t>(tensors.size());
    out.value.pointer = handles;
  } else {
    TORCH_CHECK(result.isNone(), "unsupported kind of result: ", result.tagKind());
    out.tag = CT_NONE;
  }
  return out;
}

void release(const ct_value &value) {
  if (value.tag == CT_TENSOR) ct_release(static_cast<ct_tensor>(const_cast<void *>(value.value.pointer)));
  if (value.tag != CT_TENSORS) return;
  auto *handles = static_cast<ct_tensor *>(const_cast<void *>(value.value.pointer));
  for (int32_t i = 0; i < value.count; i++) ct_release(handles[i]);
  std::free(handles);
}

}  // namespace

extern "C" {
ct_operator ct_find_operator(const char *name, const char *overload) {
  return guard([&] {
    return reinterpret_cast<ct_operator>(
        new c10::OperatorHandle(c10::Dispatcher::singleton().findSchemaOrThrow(name, overload)));
  }, nullptr);
}

int32_t ct_call(ct_operator handle, const ct_value *arguments, int32_t count, ct_value *results, int32_t capacity) {
  return guard([&]() -> int32_t {
    const auto &op = *reinterpret_cast<const c10::OperatorHandle *>(handle);
    const auto &schema = op.schema().arguments();
    TORCH_CHECK(
        static_cast<size_t>(count) <= schema.size(), "takes at most ", schema.size(), " arguments, got ", count);
    torch::jit::Stack stack;
    stack.reserve(schema.size() + 2);
    for (size_t i = 0; i < schema.size(); i++) {
      if (static_cast<int32_t>(i) < count && arguments[i].tag != CT_DEFAULT) {
        stack.push_back(to_ivalue(arguments[i]));
      } else {
        TORCH_CHECK(schema[i].default_value().has_value(), "argument '", schema[i].name(), "' is missing");
        stack.push_back(*schema[i].default_value());
      }
    }
    op.callBoxed(stack);
    TORCH_CHECK(static_cast<int32_t>(stack.size()) <= capacity, "more results than room: ", stack.size());
    int32_t written = 0;
    try {
      for (auto &result : stack) {
        results[written] = from_ivalue(std::move(result));
        written++;
      }
    } catch (...) {
      while (written > 0) release(results[--written]);
      throw;
    }
    return written;
  }, -1);
}
}
