#include "redirected.h"

#include "../../Sources/CTorch/cuda_maps.cpp"
