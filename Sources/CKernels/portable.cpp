#include "kernel/prelude.h"

#define CSCAN_VARIANT portable
#define CSCAN_VECTOR_BYTES 16
#include "kernel/body.h"

extern const Variant portable_variant = portable::variant("portable");
