#pragma once

// Everything from outside, included before a variant's target attribute begins, so that only the kernels
// carry it.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "../variant.h"
