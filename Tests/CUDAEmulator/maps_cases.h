// The configurations of the kernels for maps that the checks of `maps.cpp` run.
#pragma once

#define PROGRAM 0
#define ELEMENT 0
#define VECTOR 2
#define WINDOW 3
#define COLUMNS 7
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 0
#define VECTOR 2
#define WINDOW 3
#define COLUMNS 4
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 0
#define VECTOR 2
#define WINDOW 3
#define COLUMNS 4
#define ACTIVATION 2
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 0
#define VECTOR 2
#define WINDOW 3
#define COLUMNS 4
#define ACTIVATION 2
#define GRADIENT 1
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 2
#define VECTOR 2
#define WINDOW 3
#define COLUMNS 4
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 2
#define VECTOR 2
#define WINDOW 3
#define COLUMNS 4
#define ACTIVATION 2
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 2
#define VECTOR 2
#define WINDOW 3
#define COLUMNS 4
#define ACTIVATION 2
#define GRADIENT 1
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 2
#define VECTOR 2
#define WINDOW 3
#define COLUMNS 7
#define ACTIVATION 2
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 1
#define VECTOR 2
#define WINDOW 3
#define COLUMNS 4
#define ACTIVATION 2
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 1
#define VECTOR 2
#define WINDOW 3
#define COLUMNS 4
#define ACTIVATION 2
#define GRADIENT 1
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 1
#define VECTOR 2
#define WINDOW 5
#define COLUMNS 4
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 1
#define VECTOR 2
#define WINDOW 5
#define COLUMNS 4
#define ACTIVATION 4
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 1
#define VECTOR 2
#define WINDOW 5
#define COLUMNS 4
#define ACTIVATION 4
#define GRADIENT 1
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 3
#define VECTOR 1
#define WINDOW 7
#define COLUMNS 4
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 3
#define VECTOR 1
#define WINDOW 7
#define COLUMNS 4
#define ACTIVATION 3
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 3
#define VECTOR 1
#define WINDOW 7
#define COLUMNS 4
#define ACTIVATION 3
#define GRADIENT 1
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 3
#define VECTOR 1
#define WINDOW 3
#define COLUMNS 4
#define ACTIVATION 2
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 3
#define VECTOR 1
#define WINDOW 3
#define COLUMNS 4
#define ACTIVATION 2
#define GRADIENT 1
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 3
#define VECTOR 1
#define WINDOW 3
#define COLUMNS 4
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 0
#define VECTOR 1
#define WINDOW 2
#define COLUMNS 4
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 0
#define VECTOR 1
#define WINDOW 9
#define COLUMNS 2
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 0
#define VECTOR 1
#define WINDOW 1
#define COLUMNS 4
#define ACTIVATION 1
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 0
#define VECTOR 1
#define WINDOW 1
#define COLUMNS 4
#define ACTIVATION 1
#define GRADIENT 1
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 0
#define VECTOR 1
#define WINDOW 1
#define COLUMNS 4
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 0
#define VECTOR 1
#define WINDOW 3
#define COLUMNS 4
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 0
#define VECTOR 1
#define WINDOW 3
#define COLUMNS 4
#define ACTIVATION 3
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 0
#define VECTOR 1
#define WINDOW 3
#define COLUMNS 4
#define ACTIVATION 3
#define GRADIENT 1
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 0
#define VECTOR 2
#define WINDOW 3
#define STRIDE 2
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 0
#define VECTOR 1
#define WINDOW 5
#define STRIDE 4
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 0
#define VECTOR 1
#define WINDOW 5
#define STRIDE 4
#define ACTIVATION 4
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 0
#define VECTOR 1
#define WINDOW 5
#define STRIDE 4
#define ACTIVATION 4
#define GRADIENT 1
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 2
#define VECTOR 2
#define WINDOW 5
#define STRIDE 4
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 3
#define VECTOR 1
#define WINDOW 2
#define STRIDE 2
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 0
#define VECTOR 1
#define WINDOW 11
#define STRIDE 3
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 2
#define VECTOR 2
#define WINDOW 3
#define COLUMNS 7
#define ACTIVATION 2
#define GRADIENT 1
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 2
#define VECTOR 2
#define WINDOW 3
#define COLUMNS 7
#include "maps_case.h"

#define PROGRAM 0
#define ELEMENT 1
#define VECTOR 2
#define WINDOW 3
#define COLUMNS 4
#include "maps_case.h"

#define PROGRAM 1
#define ELEMENT 0
#define VECTOR 2
#define WINDOW 3
#define COLUMNS 7
#include "maps_case.h"

#define PROGRAM 1
#define ELEMENT 0
#define VECTOR 2
#define WINDOW 3
#define COLUMNS 4
#include "maps_case.h"

#define PROGRAM 1
#define ELEMENT 2
#define VECTOR 2
#define WINDOW 3
#define COLUMNS 4
#include "maps_case.h"

#define PROGRAM 1
#define ELEMENT 1
#define VECTOR 2
#define WINDOW 3
#define COLUMNS 4
#include "maps_case.h"

#define PROGRAM 1
#define ELEMENT 2
#define VECTOR 2
#define WINDOW 3
#define COLUMNS 7
#include "maps_case.h"

#define PROGRAM 1
#define ELEMENT 1
#define VECTOR 2
#define WINDOW 5
#define COLUMNS 4
#include "maps_case.h"

#define PROGRAM 1
#define ELEMENT 3
#define VECTOR 1
#define WINDOW 7
#define COLUMNS 4
#include "maps_case.h"

#define PROGRAM 1
#define ELEMENT 3
#define VECTOR 1
#define WINDOW 3
#define COLUMNS 4
#include "maps_case.h"

#define PROGRAM 1
#define ELEMENT 0
#define VECTOR 1
#define WINDOW 1
#define COLUMNS 4
#include "maps_case.h"

#define PROGRAM 1
#define ELEMENT 0
#define VECTOR 1
#define WINDOW 2
#define COLUMNS 4
#include "maps_case.h"

#define PROGRAM 1
#define ELEMENT 0
#define VECTOR 1
#define WINDOW 3
#define COLUMNS 4
#include "maps_case.h"

#define PROGRAM 1
#define ELEMENT 0
#define VECTOR 2
#define WINDOW 3
#define STRIDE 2
#define ROWS 3
#include "maps_case.h"

#define PROGRAM 1
#define ELEMENT 0
#define VECTOR 1
#define WINDOW 5
#define STRIDE 4
#define ROWS 5
#include "maps_case.h"

#define PROGRAM 1
#define ELEMENT 2
#define VECTOR 2
#define WINDOW 5
#define STRIDE 4
#define ROWS 5
#include "maps_case.h"

#define PROGRAM 1
#define ELEMENT 3
#define VECTOR 1
#define WINDOW 2
#define STRIDE 2
#define ROWS 2
#include "maps_case.h"

#define PROGRAM 1
#define ELEMENT 0
#define VECTOR 1
#define WINDOW 11
#define STRIDE 3
#define ROWS 4
#include "maps_case.h"

#define PROGRAM 1
#define ELEMENT 0
#define VECTOR 1
#define WINDOW 9
#define STRIDE 1
#define ROWS 5
#include "maps_case.h"

#define PROGRAM 2
#define ELEMENT 0
#define VECTOR 1
#include "maps_case.h"

#define PROGRAM 2
#define ELEMENT 0
#define VECTOR 4
#include "maps_case.h"

#define PROGRAM 2
#define ELEMENT 1
#define VECTOR 8
#include "maps_case.h"

#define PROGRAM 2
#define ELEMENT 1
#define VECTOR 8
#define OUTPUT 1
#include "maps_case.h"

#define PROGRAM 2
#define ELEMENT 2
#define VECTOR 8
#include "maps_case.h"

#define PROGRAM 2
#define ELEMENT 2
#define VECTOR 8
#define OUTPUT 1
#include "maps_case.h"

#define PROGRAM 2
#define ELEMENT 2
#define VECTOR 1
#include "maps_case.h"

#define PROGRAM 2
#define ELEMENT 2
#define VECTOR 2
#define OUTPUT 1
#include "maps_case.h"

#define PROGRAM 2
#define ELEMENT 3
#define VECTOR 2
#include "maps_case.h"

#define PROGRAM 2
#define ELEMENT 3
#define VECTOR 1
#include "maps_case.h"

#define PROGRAM 3
#define ELEMENT 0
#define VECTOR 1
#include "maps_case.h"

#define PROGRAM 3
#define ELEMENT 0
#define VECTOR 4
#include "maps_case.h"

#define PROGRAM 3
#define ELEMENT 1
#define VECTOR 8
#include "maps_case.h"

#define PROGRAM 3
#define ELEMENT 2
#define VECTOR 8
#include "maps_case.h"

#define PROGRAM 3
#define ELEMENT 2
#define VECTOR 1
#include "maps_case.h"

#define PROGRAM 3
#define ELEMENT 2
#define VECTOR 4
#include "maps_case.h"

#define PROGRAM 3
#define ELEMENT 3
#define VECTOR 2
#include "maps_case.h"

#define PROGRAM 3
#define ELEMENT 3
#define VECTOR 1
#include "maps_case.h"

#define PROGRAM 4
#define ELEMENT 2
#define WINDOW 3
#include "maps_case.h"

#define PROGRAM 4
#define ELEMENT 2
#define WINDOW 3
#define ACTIVATION 2
#include "maps_case.h"

#define PROGRAM 4
#define ELEMENT 2
#define WINDOW 3
#define ACTIVATION 2
#define GRADIENT 1
#include "maps_case.h"

#define PROGRAM 4
#define ELEMENT 1
#define WINDOW 5
#include "maps_case.h"

#define PROGRAM 4
#define ELEMENT 1
#define WINDOW 5
#define ACTIVATION 4
#include "maps_case.h"

#define PROGRAM 4
#define ELEMENT 1
#define WINDOW 5
#define ACTIVATION 4
#define GRADIENT 1
#include "maps_case.h"

#define PROGRAM 4
#define ELEMENT 2
#define WINDOW 7
#include "maps_case.h"

#define PROGRAM 4
#define ELEMENT 2
#define WINDOW 7
#define ACTIVATION 3
#include "maps_case.h"

#define PROGRAM 4
#define ELEMENT 2
#define WINDOW 7
#define ACTIVATION 3
#define GRADIENT 1
#include "maps_case.h"

#define PROGRAM 4
#define ELEMENT 1
#define WINDOW 9
#include "maps_case.h"

#define PROGRAM 4
#define ELEMENT 2
#define WINDOW 2
#include "maps_case.h"

#define PROGRAM 5
#define ELEMENT 2
#define WINDOW 3
#define TILES 2
#define GROUPS 2
#define PARTS 1
#define SPLIT 2
#include "maps_case.h"

#define PROGRAM 5
#define ELEMENT 2
#define WINDOW 3
#define TILES 1
#define GROUPS 2
#define PARTS 1
#define SPLIT 1
#include "maps_case.h"

#define PROGRAM 5
#define ELEMENT 1
#define WINDOW 5
#define TILES 3
#define GROUPS 2
#define PARTS 2
#define SPLIT 2
#include "maps_case.h"

#define PROGRAM 5
#define ELEMENT 2
#define WINDOW 7
#define TILES 2
#define GROUPS 1
#define PARTS 2
#define SPLIT 2
#include "maps_case.h"

#define PROGRAM 5
#define ELEMENT 1
#define WINDOW 9
#define TILES 3
#define GROUPS 1
#define PARTS 3
#define SPLIT 2
#include "maps_case.h"

#define PROGRAM 1
#define ELEMENT 2
#define VECTOR 1
#define WINDOW 3
#include "maps_case.h"

#define PROGRAM 1
#define ELEMENT 1
#define VECTOR 1
#define WINDOW 5
#include "maps_case.h"

#define PROGRAM 1
#define ELEMENT 2
#define VECTOR 1
#define WINDOW 7
#include "maps_case.h"

#define PROGRAM 1
#define ELEMENT 1
#define VECTOR 1
#define WINDOW 9
#include "maps_case.h"
