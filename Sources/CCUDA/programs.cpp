// The texts of the kernels, and what they are compiled with.
#include "internal.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

namespace {
const char prelude_text[] = {
#embed "kernels/prelude.cuh"
    , 0};
}  // namespace

namespace ccuda {

const char *const prelude = prelude_text;

const std::vector<Program> &programs() {
  static const std::vector<Program> all = {
  };
  return all;
}

const Program *find_program(const std::string &name) {
  for (const Program &program : programs()) {
    if (name == program.name) return &program;
  }
  return nullptr;
}

}  // namespace ccuda

using namespace ccuda;

extern "C" {
int32_t ccuda_program_count(void) { return static_cast<int32_t>(programs().size()); }
const char *ccuda_program_name(int32_t index) { return programs()[static_cast<size_t>(index)].name; }

int32_t ccuda_configuration_count(const char *name) {
  const Program *program = find_program(name);
  return program ? static_cast<int32_t>(program->configurations.size()) : 0;
}
const char *ccuda_configuration(const char *name, int32_t index) {
  const Program *program = find_program(name);
  if (!program || index < 0 || static_cast<size_t>(index) >= program->configurations.size()) return nullptr;
  return program->configurations[static_cast<size_t>(index)];
}
}
