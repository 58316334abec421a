"""What XLA does with which operation: read through it, fuse it into loops, or run it as a kernel of its own."""

from typing import Final

# Re-indexing that costs neither time nor memory inside its reader, so that it is repeated there instead of stored.
VIEWS: Final = frozenset({"broadcast_in_dim", "expand_dims", "iota", "pvary", "reshape", "squeeze", "transpose"})

# Reads or writes a part of an array, at a place.
PLACED: Final = frozenset({"dynamic_slice", "dynamic_update_slice"})

ELEMENTWISE: Final = frozenset(
    """abs acos acosh add add_any and asin asinh atan atan2 atanh bitcast_convert_type cbrt ceil clamp clz complex conj
    convert_element_type copy copy_p cos cosh digamma div eq erf erf_inv erfc exp exp2 expm1 floor ge gt imag
    integer_pow is_finite le lgamma log log1p logistic lt max min mul ne neg nextafter not or population_count pow real
    reduce_precision rem round rsqrt select_n shift_left shift_right_arithmetic shift_right_logical sign sin sinh sqrt
    square stop_gradient sub tan tanh xor""".split()  # noqa: SIM905 - a list would be a column of words
)

MOVEMENT: Final = frozenset({"concatenate", "pad", "rev", "slice", "split", *VIEWS})

REDUCTIONS: Final = frozenset(
    """argmax argmin reduce_and reduce_max reduce_min reduce_or reduce_prod reduce_sum reduce_xor""".split()  # noqa: SIM905 - a list would be a column of words
)

FUSIBLE: Final = ELEMENTWISE | MOVEMENT | REDUCTIONS

TRANSCENDENTAL: Final = frozenset(
    """acos acosh asin asinh atan atan2 atanh cbrt cos cosh digamma erf erf_inv erfc exp exp2 expm1 lgamma log log1p
    logistic pow sin sinh tan tanh""".split()  # noqa: SIM905 - a list would be a column of words
)
