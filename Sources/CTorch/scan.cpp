#include "internal.h"
extern "C" {
ct_tensor ct_selective_scan(ct_tensor, ct_tensor, ct_tensor, ct_tensor, ct_tensor, ct_tensor, ct_tensor, ct_tensor, bool, ct_tensor *) { return nullptr; }
ct_tensor ct_scan_2d(ct_tensor, ct_tensor, ct_tensor, ct_tensor, ct_tensor, ct_tensor) { return nullptr; }
const char *ct_scan_capability(void) { return ""; }
int32_t ct_set_scan_capability(const char *) { return -1; }
}
