// Element-wise comparisons give a tensor of truth values, so they are spelled as SIMD's are.
infix operator .& : LogicalConjunctionPrecedence
