#include "redirected.h"

#if __has_include("../../Sources/CTorch/cuda_scan2d_backward.cpp")
#include "../../Sources/CTorch/cuda_scan2d_backward.cpp"
#endif
