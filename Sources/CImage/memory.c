#include "CImage.h"

#include <stdlib.h>

void cimage_free(void *bytes) { free(bytes); }
