#include "redirected.h"

#include "../../Sources/CTorch/cuda_scan2d_backward_fast.cpp"
