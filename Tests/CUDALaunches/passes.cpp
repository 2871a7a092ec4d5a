// Entries of C cannot be put into another namespace, so they get other names.
#define ct_group_softmax launched_group_softmax
#define ct_bias_activation launched_bias_activation

#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "redirected.h"

#include "../../Sources/CTorch/cuda_passes.cpp"
