// NVRTC, found at run time: CUDA C++ text to machine code. Needs neither a GPU nor a driver.
#include <dlfcn.h>
#include <glob.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <sstream>

#include "internal.h"

namespace {

using ccuda::fail;

// The part of NVRTC's interface that is used; it has not changed since CUDA 11.2.
struct Compiler {
  using program = void *;
  int (*version)(int *, int *) = nullptr;
  int (*supported_count)(int *) = nullptr;
  int (*supported)(int *) = nullptr;
  int (*create)(program *, const char *, const char *, int, const char *const *, const char *const *) = nullptr;
  int (*compile)(program, int, const char *const *) = nullptr;
  int (*log_size)(program, size_t *) = nullptr;
  int (*log)(program, char *) = nullptr;
  int (*cubin_size)(program, size_t *) = nullptr;
  int (*cubin)(program, char *) = nullptr;
  int (*ptx_size)(program, size_t *) = nullptr;
  int (*ptx)(program, char *) = nullptr;
  int (*destroy)(program *) = nullptr;
  const char *(*message)(int) = nullptr;
  std::string version_text;
  std::string problem;  // not empty: there is none
};

std::vector<std::string> matches(const std::string &pattern) {
  std::vector<std::string> found;
  glob_t result{};
  if (glob(pattern.c_str(), 0, nullptr, &result) == 0) {
    for (size_t i = 0; i < result.gl_pathc; i++) found.push_back(result.gl_pathv[i]);
  }
  globfree(&result);
  return found;
}

std::string &library_folder() {
  static std::string folder;
  return folder;
}

// The folders that may hold NVRTC: beside LibTorch, in the wheels beside it, and where the system looks.
std::vector<std::string> candidates() {
  std::vector<std::string> files;
  const std::string &torch = library_folder();
  std::vector<std::string> folders;
  if (!torch.empty()) folders = {torch + "/../../nvidia/cu13/lib", torch + "/../../nvidia/cuda_nvrtc/lib", torch};
  for (const std::string &folder : folders) {
    for (const std::string &file : matches(folder + "/libnvrtc*.so*")) {
      if (file.find("builtins") == std::string::npos && file.find(".alt.") == std::string::npos) files.push_back(file);
    }
  }
  for (const char *name : {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"}) files.push_back(name);
  return files;
}

void *open_library(const std::string &file) {
  const size_t slash = file.rfind('/');
  if (slash != std::string::npos) {
    // NVRTC asks for its built-in functions by name only, which finds nothing in a folder that the system does not know.
    for (const std::string &builtins : matches(file.substr(0, slash) + "/libnvrtc-builtins*.so*")) {
      if (builtins.find(".alt.") == std::string::npos) dlopen(builtins.c_str(), RTLD_NOW | RTLD_GLOBAL);
    }
  }
  return dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
}

template <class Function>
void bind(void *library, const char *name, Function &function, std::string &problem) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (!function && problem.empty()) problem = std::string("NVRTC has no function ") + name;
}

Compiler load() {
  Compiler c;
  void *library = nullptr;
  const auto files = candidates();
  for (const std::string &file : files) {
    library = open_library(file);
    if (library) break;
  }
  if (!library) {
    c.problem = "NVRTC, CUDA's run-time compiler, was not found: install the package nvidia-cuda-nvrtc 13.0 beside PyTorch, or put "
                "the folder of libnvrtc.so.13 into LD_LIBRARY_PATH";
    return c;
  }
  bind(library, "nvrtcVersion", c.version, c.problem);
  bind(library, "nvrtcGetNumSupportedArchs", c.supported_count, c.problem);
  bind(library, "nvrtcGetSupportedArchs", c.supported, c.problem);
  bind(library, "nvrtcCreateProgram", c.create, c.problem);
  bind(library, "nvrtcCompileProgram", c.compile, c.problem);
  bind(library, "nvrtcGetProgramLogSize", c.log_size, c.problem);
  bind(library, "nvrtcGetProgramLog", c.log, c.problem);
  bind(library, "nvrtcGetCUBINSize", c.cubin_size, c.problem);
  bind(library, "nvrtcGetCUBIN", c.cubin, c.problem);
  bind(library, "nvrtcGetPTXSize", c.ptx_size, c.problem);
  bind(library, "nvrtcGetPTX", c.ptx, c.problem);
  bind(library, "nvrtcDestroyProgram", c.destroy, c.problem);
  bind(library, "nvrtcGetErrorString", c.message, c.problem);
  int major = 0, minor = 0;
  if (c.problem.empty() && c.version(&major, &minor) != 0) c.problem = "NVRTC does not tell its version";
  c.version_text = std::to_string(major) + "." + std::to_string(minor);
  return c;
}

std::mutex &compiler_lock() {
  static std::mutex lock;
  return lock;
}

// A missing one is looked for again: the folder of LibTorch may be told later.
const Compiler &compiler() {
  static Compiler loaded = load();
  if (!loaded.problem.empty()) loaded = load();
  return loaded;
}

}  // namespace

namespace ccuda {

std::string architecture_for(int major, int minor, std::string &error) {
  const std::lock_guard<std::mutex> lock(compiler_lock());
  const Compiler &c = compiler();
  if (!c.problem.empty()) {
    error = c.problem;
    return "";
  }
  int count = 0;
  c.supported_count(&count);
  std::vector<int> known(static_cast<size_t>(count));
  if (count > 0) c.supported(known.data());
  const int wanted = 10 * major + minor;
  int newest = 0;
  for (int architecture : known) {
    if (architecture == wanted) return "sm_" + std::to_string(wanted);
    if (architecture < wanted && architecture > newest) newest = architecture;
  }
  if (newest < 80) {
    error = "NVRTC " + c.version_text + " does not compile for this GPU, whose compute capability is " +
            std::to_string(major) + "." + std::to_string(minor) + "; the kernels need 8.0 or later";
    return "";
  }
  return "compute_" + std::to_string(newest);
}

MachineCode compile(const Program &program, const std::string &macros, const std::string &architecture) {
  const std::lock_guard<std::mutex> lock(compiler_lock());
  const Compiler &c = compiler();
  if (!c.problem.empty()) return {{}, c.problem};
  std::vector<std::string> options = {"-std=c++17", "-arch=" + architecture};
  std::istringstream words(macros);
  for (std::string word; words >> word;) options.push_back("-D" + word);
  std::vector<const char *> pointers;
  for (const std::string &option : options) pointers.push_back(option.c_str());
  std::vector<const char *> header_texts, header_names;
  for (const Header &header : headers()) {
    header_texts.push_back(header.text);
    header_names.push_back(header.name);
  }
  const std::string file = std::string(program.name) + ".cu";
  Compiler::program handle = nullptr;
  int status = c.create(
      &handle, program.text, file.c_str(), static_cast<int>(headers().size()), header_texts.data(), header_names.data());
  if (status != 0) return {{}, std::string("NVRTC cannot take the program ") + file + ": " + c.message(status)};
  MachineCode code;
  status = c.compile(handle, static_cast<int>(pointers.size()), pointers.data());
  if (status != 0) {
    size_t size = 0;
    std::string log;
    if (c.log_size(handle, &size) == 0 && size > 1) {
      log.resize(size);
      c.log(handle, log.data());
      log.resize(std::strlen(log.c_str()));
    }
    code.error = "NVRTC " + c.version_text + " cannot compile " + file + " for " + architecture + " with " + macros + " (" +
                 c.message(status) + "); please report it with this log:\n" + log;
  } else {
    const bool is_ptx = architecture.rfind("compute_", 0) == 0;
    size_t size = 0;
    status = is_ptx ? c.ptx_size(handle, &size) : c.cubin_size(handle, &size);
    code.bytes.resize(size);
    if (status == 0 && size > 0) status = is_ptx ? c.ptx(handle, code.bytes.data()) : c.cubin(handle, code.bytes.data());
    if (status != 0 || size == 0) code.error = "NVRTC " + c.version_text + " gave no machine code for " + file;
  }
  c.destroy(&handle);
  return code;
}

}  // namespace ccuda

using namespace ccuda;

namespace {

using Maker = MachineCode (*)(const Program &, const std::string &, const std::string &);

void *make_code(Maker maker, const char *name, const char *macros, const char *architecture, size_t *byte_count) {
  const Program *program = find_program(name);
  if (!program) {
    fail(std::string("there is no CUDA program called ") + name);
    return nullptr;
  }
  const MachineCode code = maker(*program, macros, architecture);
  if (!code.error.empty()) {
    fail(code.error);
    return nullptr;
  }
  void *bytes = std::malloc(code.bytes.size());
  if (!bytes) {
    fail("out of memory");
    return nullptr;
  }
  std::memcpy(bytes, code.bytes.data(), code.bytes.size());
  *byte_count = code.bytes.size();
  return bytes;
}

}  // namespace

extern "C" {
void ccuda_set_library_folder(const char *folder) {
  const std::lock_guard<std::mutex> lock(compiler_lock());
  library_folder() = folder;
}

const char *ccuda_compiler_version(void) {
  const std::lock_guard<std::mutex> lock(compiler_lock());
  const Compiler &c = compiler();
  if (!c.problem.empty()) {
    fail(c.problem);
    return nullptr;
  }
  return c.version_text.c_str();
}

void *ccuda_compile(const char *name, const char *macros, const char *architecture, size_t *byte_count) {
  return make_code(compile, name, macros, architecture, byte_count);
}

void *ccuda_load_code(const char *name, const char *macros, const char *architecture, size_t *byte_count) {
  return make_code(load_or_compile, name, macros, architecture, byte_count);
}
}
