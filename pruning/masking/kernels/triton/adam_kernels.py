"""Triton kernels of the score update: gradients with regulariser, clipping, Adam, sums per matrix.

Launched by :mod:`pruning.masking.kernels.triton.adam`. Twins of the plain functions in :mod:`pruning.masking.score_adam`:
float32, each operation rounded separately, sums in float64 except for those of σ over one chunk. No two programs add to the same
number, so a repeated launch gives the same bits.
"""

import triton
import triton.language as tl

# Indices into the scalars of a step (pruning.masking.kernels.triton.adam.StepScalars) and into its clipping.
REGULARIZATION, SHIFT, MAX_NORM = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
KEEP1, TAKE1, KEEP2, TAKE2 = tl.constexpr(3), tl.constexpr(4), tl.constexpr(5), tl.constexpr(6)
STEP, DIVISOR, EPSILON = tl.constexpr(7), tl.constexpr(8), tl.constexpr(9)
NORM, CLIP, FINITE = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)


@triton.jit
def scalar(scalars, index):
    """One of the float64 scalars of a step, as float32."""
    return tl.load(scalars + index).to(tl.float32)


@triton.jit
def pointer(addresses, matrix, begin, kind: tl.constexpr):
    """Pointer to weight ``begin`` of a matrix of dtype ``kind``; a hint marks it as a multiple of 16 bytes."""
    return tl.multiple_of(tl.load(addresses + matrix).to(tl.pointer_type(kind)), 16) + begin


@triton.jit
def weights_left(sizes, matrix, begin, whole: tl.constexpr):
    """Number of weights of a matrix from ``begin`` on, int32."""
    size = tl.load(sizes + matrix)
    if whole:
        size = tl.multiple_of(size, 16)
    return (size - begin).to(tl.int32)


@triton.jit
def sigmoid(x):
    """1 / (1 + exp(-x)) of a tile."""
    below = tl.exp(-x) + 1.0
    return tl.div_rn(tl.full(below.shape, 1.0, tl.float32), below)


@triton.jit
def gradients(
    weight_gradients,
    out,
    base,
    scores,
    slopes,
    matrices,
    chunk_numbers,
    sizes,
    scalars,
    masses,
    squares,
    count,
    bf16: tl.constexpr,
    sloped: tl.constexpr,
    chunk: tl.constexpr,
    tile: tl.constexpr,
    whole: tl.constexpr,
):
    """out <- G ⊙ W (⊙ slope) + pull σ(S - shift)(1 - σ(S - shift)); Σσ and Σ out² of a chunk."""
    at = tl.program_id(0)
    matrix = tl.load(matrices + at)
    begin = tl.load(chunk_numbers + at).to(tl.int64) * chunk
    left = weights_left(sizes, matrix, begin, whole)
    shift = scalar(scalars, SHIFT)
    pull = (tl.load(scalars + REGULARIZATION) / (tl.load(sizes + matrix) * count).to(tl.float64)).to(tl.float32)
    to, w, s = (
        pointer(out, matrix, begin, tl.float32),
        pointer(base, matrix, begin, tl.float32),
        pointer(scores, matrix, begin, tl.float32),
    )
    g = pointer(weight_gradients, matrix, begin, tl.bfloat16 if bf16 else tl.float32)
    mass, square = tl.zeros([tile], tl.float32), tl.zeros([tile], tl.float64)
    for start in range(0, chunk, tile):
        offsets = start + tl.arange(0, tile)
        valid = offsets < left
        own = tl.load(g + offsets, mask=valid, other=0.0).to(tl.float32) * tl.load(w + offsets, mask=valid, other=0.0)
        if sloped:
            given = tl.where(tl.load(slopes + matrix) != 0, left, 0)
            slope = pointer(slopes, matrix, begin, tl.float32)
            own = own * tl.load(slope + offsets, mask=offsets < given, other=1.0)
        sigma = sigmoid(tl.load(s + offsets, mask=valid, other=0.0) - shift)
        own = own + pull * (sigma - sigma * sigma)
        tl.store(to + offsets, own, mask=valid)
        mass += tl.where(valid, sigma, 0.0)
        wide = tl.where(valid, own, 0.0).to(tl.float64)
        square += wide * wide
    tl.store(masses + at, tl.sum(mass, axis=0).to(tl.float64))
    tl.store(squares + at, tl.sum(square, axis=0))


@triton.jit
def clip_norm(squares, count, others, other_count, losses, loss_count, scalars, clipping, block: tl.constexpr):
    """The norm of all gradients, the factor they are clipped by, and whether everything so far was finite."""
    lanes = tl.arange(0, block)
    square, bad = tl.zeros([block], tl.float64), tl.zeros([block], tl.int32)
    for start in range(0, count, block):
        square += tl.load(squares + start + lanes, mask=start + lanes < count, other=0.0)
    for start in range(0, other_count, block):
        other = tl.load(others + start + lanes, mask=start + lanes < other_count, other=0.0)
        square += other * other
    for start in range(0, loss_count, block):
        loss = tl.load(losses + start + lanes, mask=start + lanes < loss_count, other=0.0)
        bad += tl.where(tl.abs(loss) < float("inf"), 0, 1)  # NaN compares as false
    total = tl.sum(square, axis=0)
    norm = tl.sqrt(total)
    finite = (tl.load(clipping + FINITE).to(tl.int32) != 0) & (total < float("inf")) & (tl.sum(bad, axis=0) == 0)
    clip = tl.load(scalars + MAX_NORM) / (norm + 1e-6)
    tl.store(clipping + NORM, norm)
    tl.store(clipping + CLIP, tl.where(clip < 1.0, clip, 1.0))
    tl.store(clipping + FINITE, finite.to(tl.float64))


@triton.jit
def adam(
    scores,
    score_gradients,
    first,
    second,
    matrices,
    chunk_numbers,
    sizes,
    scalars,
    clipping,
    inverse_temperatures,
    masses,
    chunk: tl.constexpr,
    tile: tl.constexpr,
    whole: tl.constexpr,
):
    """One update of moments and scores, none where gradients or loss are not finite; Σσ(S/p) of the scores after it."""
    at = tl.program_id(0)
    matrix = tl.load(matrices + at)
    begin = tl.load(chunk_numbers + at).to(tl.int64) * chunk
    left = weights_left(sizes, matrix, begin, whole)
    s, g, m, v = (
        pointer(scores, matrix, begin, tl.float32),
        pointer(score_gradients, matrix, begin, tl.float32),
        pointer(first, matrix, begin, tl.float32),
        pointer(second, matrix, begin, tl.float32),
    )
    moving = tl.where(tl.load(clipping + FINITE).to(tl.int32) != 0, left, 0)
    clip = scalar(clipping, CLIP)
    keep1, take1 = scalar(scalars, KEEP1), scalar(scalars, TAKE1)
    keep2, take2 = scalar(scalars, KEEP2), scalar(scalars, TAKE2)
    step, divisor, epsilon = scalar(scalars, STEP), scalar(scalars, DIVISOR), scalar(scalars, EPSILON)
    inverse = tl.load(inverse_temperatures + matrix)
    mass = tl.zeros([tile], tl.float32)
    for start in range(0, chunk, tile):
        offsets = start + tl.arange(0, tile)
        valid = offsets < left
        moved = offsets < moving
        score = tl.load(s + offsets, mask=valid, other=0.0)
        own = tl.load(g + offsets, mask=moved, other=0.0) * clip
        mean = tl.load(m + offsets, mask=moved, other=0.0) * keep1 + own * take1
        spread = tl.load(v + offsets, mask=moved, other=0.0) * keep2 + own * own * take2
        root = tl.div_rn(tl.sqrt_rn(spread), tl.full([tile], 1.0, tl.float32) * divisor) + epsilon
        score = tl.where(moved, score + step * tl.div_rn(mean, root), score)
        tl.store(m + offsets, mean, mask=moved)
        tl.store(v + offsets, spread, mask=moved)
        tl.store(s + offsets, score, mask=moved)
        if inverse != 0:
            mass += tl.where(valid, sigmoid(score * inverse), 0.0)
    tl.store(masses + at, tl.sum(mass, axis=0).to(tl.float64))


@triton.jit
def add_up(parts, first, sizes, out, mean: tl.constexpr, block: tl.constexpr):
    """For each matrix the sum over its chunks, or with ``mean`` the sum divided by its weights."""
    matrix = tl.program_id(0)
    begin, end = tl.load(first + matrix), tl.load(first + matrix + 1)
    lanes = tl.arange(0, block)
    total = tl.zeros([block], out.dtype.element_ty)
    for start in range(begin, end, block):
        total += tl.load(parts + start + lanes, mask=start + lanes < end, other=0).to(out.dtype.element_ty)
    whole = tl.sum(total, axis=0)
    if mean:
        whole = whole / tl.load(sizes + matrix).to(tl.float64)
    tl.store(out + matrix, whole)
