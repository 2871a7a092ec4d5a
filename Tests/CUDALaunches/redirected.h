// Put before a launcher's text: its GPU is the processor, and its namespace is one of our own, so that it can be linked
// beside the real one.
#pragma once
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#define is_cuda is_cpu
#define ctorch cuda_launches_ctorch
