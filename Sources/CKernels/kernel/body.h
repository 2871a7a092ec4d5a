// One variant of the kernels. The including file sets CSCAN_VARIANT (the namespace) and CSCAN_VECTOR_BYTES.
#include "lanes.h"
#include "math.h"
#include "element.h"
#include "scratch.h"
#include "block.h"
#include "path.h"
#include "rows.h"
#include "selective_scan.h"
#include "ss2d.h"
#include "activation.h"
#include "depthwise.h"
#include "map.h"

namespace CSCAN_VARIANT {

constexpr Variant variant(const char *name) {
  return {name, selective_scan_forward, selective_scan_backward, ss2d_forward, ss2d_backward,
      depthwise_forward, norm_forward, scaled_sum_forward, join_forward};
}

}  // namespace CSCAN_VARIANT
