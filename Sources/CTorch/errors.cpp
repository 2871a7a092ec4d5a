// The last error of a thread, and error scopes.
#include <cstring>

#include "internal.h"

namespace {
struct Scope {
  bool failed;
  std::string message;
};
thread_local std::vector<Scope> scopes;
}  // namespace

namespace ctorch {
std::string &last_error() {
  thread_local std::string message;
  return message;
}
}  // namespace ctorch

extern "C" {
const char *ct_last_error(void) { return ctorch::last_error().c_str(); }
void ct_set_last_error(const char *message) { ctorch::last_error() = message; }

void ct_scope_enter(void) {
  if (ct_scope_failed()) scopes.push_back(scopes.back());
  else scopes.push_back({false, ""});
}
char *ct_scope_leave(void) {
  if (scopes.empty()) return nullptr;
  Scope scope = std::move(scopes.back());
  scopes.pop_back();
  return scope.failed ? strdup(scope.message.c_str()) : nullptr;
}
bool ct_scope_active(void) { return !scopes.empty(); }
bool ct_scope_failed(void) { return !scopes.empty() && scopes.back().failed; }
void ct_scope_fail(const char *message) {
  if (scopes.empty() || scopes.back().failed) return;
  scopes.back() = {true, message};
}
}
