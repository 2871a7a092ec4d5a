// What the files of this target share.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "ccuda.h"

namespace ccuda {

// This thread's last sentence; `fail` sets it and returns -1.
std::string &last_error();
int32_t fail(std::string sentence);

// ---- programs.cpp
struct Program {
  const char *name;
  const char *text;
};
const std::vector<Program> &programs();
const Program *find_program(const std::string &name);
// What programs include by name.
struct Header {
  const char *name;
  const char *text;
};
const std::vector<Header> &headers();

// ---- compiler.cpp
struct MachineCode {
  std::vector<char> bytes;  // a cubin, or PTX that the driver translates
  std::string error;        // not empty: why there is none
};
// The architecture to compile for: "sm_90" where NVRTC knows the device, else the newest that it knows, as "compute_…".
std::string architecture_for(int major, int minor, std::string &error);
MachineCode compile(const Program &program, const std::string &macros, const std::string &architecture);

// ---- cache.cpp
// From the folder, or compiled and left there.
MachineCode load_or_compile(const Program &program, const std::string &macros, const std::string &architecture);

}  // namespace ccuda
