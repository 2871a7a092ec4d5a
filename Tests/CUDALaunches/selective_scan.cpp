#include "redirected.h"

#include "../../Sources/CTorch/cuda_selective_scan.cpp"
