// Compiled kernels on disk: a file for each text, macros, architecture and compiler, which appears whole or not at all, so
// that any number of processes may share the folder.
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "internal.h"

namespace {

using ccuda::MachineCode;

std::atomic<int64_t> compiled{0}, found{0};
std::atomic<void (*)()> before_compiling{nullptr};

__extension__ typedef unsigned __int128 wide;

// FNV-1a over 128 bits: an address, not a protection.
wide hash(wide state, const void *bytes, size_t count) {
  const wide prime = (static_cast<wide>(1) << 88) | 0x13b;
  for (size_t i = 0; i < count; i++) state = (state ^ static_cast<const unsigned char *>(bytes)[i]) * prime;
  return state;
}
wide hash(wide state, const std::string &text) { return hash(state, text.c_str(), text.size() + 1); }
wide start() { return (static_cast<wide>(0x6c62272e07bb0142u) << 64) | 0x62b821756295c58du; }

std::string hexadecimal(wide value) {
  char text[33];
  std::snprintf(
      text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(value >> 64),
      static_cast<unsigned long long>(value));
  return text;
}

std::string environment(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

std::string folder() {
  const std::string chosen = environment("GANGLION_KERNEL_CACHE");
  if (!chosen.empty()) return chosen;
  const std::string cache = environment("XDG_CACHE_HOME"), home = environment("HOME");
  if (!cache.empty() && cache[0] == '/') return cache + "/ganglion/kernels";
  return (home.empty() ? "/tmp/ganglion-" + std::to_string(getuid()) : home + "/.cache/ganglion") + "/kernels";
}

bool make_folders(const std::string &path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) return false;
    if (slash == std::string::npos) return true;
  }
}

// A file is the word below, the bytes' own hash, and the bytes: one that was cut off or damaged is not used.
const char magic[] = "ganglion kernel 1\n";

bool read(const std::string &path, std::vector<char> &bytes) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return false;
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const size_t header = sizeof magic - 1 + 32;
  if (text.size() <= header || text.compare(0, sizeof magic - 1, magic) != 0) return false;
  bytes.assign(text.begin() + static_cast<long>(header), text.end());
  return text.compare(sizeof magic - 1, 32, hexadecimal(hash(start(), bytes.data(), bytes.size()))) == 0;
}

// A folder that cannot be written costs compiling again, no more; `ganglion doctor` says so.
void write(const std::string &path, const std::vector<char> &bytes) {
  std::string name = path + ".XXXXXX";
  const int file = mkstemp(name.data());
  if (file < 0) return;
  const std::string text =
      magic + hexadecimal(hash(start(), bytes.data(), bytes.size())) + std::string(bytes.data(), bytes.size());
  size_t written = 0;
  while (written < text.size()) {
    const ssize_t more = ::write(file, text.data() + written, text.size() - written);
    if (more < 0 && errno == EINTR) continue;
    if (more <= 0) break;
    written += static_cast<size_t>(more);
  }
  const bool is_whole = written == text.size() && close(file) == 0;
  if (!is_whole || std::rename(name.c_str(), path.c_str()) != 0) unlink(name.c_str());
}

}  // namespace

namespace ccuda {

MachineCode load_or_compile(const Program &program, const std::string &macros, const std::string &architecture) {
  const char *version = ccuda_compiler_version();
  if (!version) return {{}, last_error()};
  wide key = start();
  for (const Header &header : headers()) key = hash(key, std::string(header.text));
  for (const std::string &part : {std::string(program.text), macros, architecture, std::string(version)}) {
    key = hash(key, part);
  }
  const std::string path = folder() + "/" + program.name + "-" + hexadecimal(key) + ".kernel";
  MachineCode code;
  if (read(path, code.bytes)) {
    found++;
    return code;
  }
  if (const auto notice = before_compiling.exchange(nullptr)) notice();
  code = compile(program, macros, architecture);
  if (!code.error.empty()) return code;
  compiled++;
  if (make_folders(folder())) write(path, code.bytes);
  return code;
}

}  // namespace ccuda

extern "C" {
const char *ccuda_cache_folder(void) {
  static thread_local std::string path;
  path = folder();
  return path.c_str();
}
bool ccuda_cache_is_writable(void) {
  const std::string path = folder();
  return make_folders(path) && access(path.c_str(), W_OK | X_OK) == 0;
}
void ccuda_before_compiling(void (*notice)(void)) { before_compiling = notice; }
void ccuda_cache_counts(int64_t *compiled_count, int64_t *found_count) {
  *compiled_count = compiled;
  *found_count = found;
}
}
