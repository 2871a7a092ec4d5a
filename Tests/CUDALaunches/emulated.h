// Kernels compiled for the processor with the macros that a launcher asks for at one size, to be run by its launches.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <utility>

namespace emulated {

// Calls a kernel with the arguments at those addresses.
using Kernel = std::function<void(void **arguments)>;

template <class... Arguments, size_t... Places>
Kernel calling_with(void (*kernel)(Arguments...), std::index_sequence<Places...>) {
  return [kernel](void **arguments) { kernel(*static_cast<Arguments *>(arguments[Places])...); };
}
template <class... Arguments>
Kernel calling(void (*kernel)(Arguments...)) {
  return calling_with(kernel, std::index_sequence_for<Arguments...>());
}

// By "program entry macros".
std::map<std::string, Kernel> &kernels();

struct Registration {
  Registration(const char *program, const char *macros, std::initializer_list<std::pair<const char *, Kernel>> entries) {
    for (const auto &[entry, kernel] : entries) kernels()[std::string(program) + " " + entry + " " + macros] = kernel;
  }
};

void run(const Kernel &kernel, const unsigned (&grid)[3], const unsigned (&block)[3], size_t shared_bytes, void **arguments);

}  // namespace emulated
