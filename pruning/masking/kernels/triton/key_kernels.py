"""Triton functions on keys, integers in the order of the floats, and on weights rounded as autocast does.

Called by the programs of :mod:`pruning.masking.kernels.triton.topk_kernels`.
"""

import triton
import triton.language as tl


@triton.jit
def key_of(bits):
    """uint32 in the order of the floats that have these int32 bits."""
    plain = tl.where(bits == -2147483648, 0, bits)
    whole = plain.to(tl.uint32, bitcast=True)
    return tl.where(plain < 0, ~whole, whole | 0x80000000)


@triton.jit
def is_nan(bits):
    return (bits & 0x7FFFFFFF) > 0x7F800000


@triton.jit
def score_of(key):
    """The float that has a key (a scalar, int64)."""
    bits = tl.where(key >= 0x80000000, key - 0x80000000, 0xFFFFFFFF - key)
    return bits.to(tl.uint32).to(tl.float32, bitcast=True)


@triton.jit
def key_of_float(score):
    """Key of a scalar; int64."""
    return key_of(score.to(tl.int32, bitcast=True)).to(tl.int64)


@triton.jit
def rounded(weight):
    """The bits of a float32 as bf16, rounded to nearest even; as int16. Triton's interpreter would truncate them."""
    bits = weight.to(tl.uint32, bitcast=True)
    near = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return tl.where(weight == weight, near, 0x7FC0).to(tl.int16)
