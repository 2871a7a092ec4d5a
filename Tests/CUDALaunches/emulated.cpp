// The kernels of `emulated.h`.
#include "emulated.h"

#include "emulator.h"

namespace emulated {

std::map<std::string, Kernel> &kernels() {
  static std::map<std::string, Kernel> all;
  return all;
}

void run(const Kernel &kernel, const unsigned (&grid)[3], const unsigned (&block)[3], size_t shared_bytes, void **arguments) {
  emulator::emulate(
      {grid[0], grid[1], grid[2]}, {block[0], block[1], block[2]}, shared_bytes, [&] { kernel(arguments); });
}

}  // namespace emulated

#include "emulated_kernels.inc"
