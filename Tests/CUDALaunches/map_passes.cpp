#include "redirected.h"

#include "../../Sources/CTorch/cuda_map_passes.cpp"
