"""Triton programs of an update of the scores; :mod:`pruning.masking.kernels.triton.adam` launches them.

Twins of the plain functions in :mod:`pruning.masking.score_adam`: float32, each operation rounded by itself, sums in
float64 but for those of σ over one chunk. No two programs add to the same number, so a launch repeated gives the same bits.
"""

import triton
import triton.language as tl

# Places in the numbers of a step (pruning.masking.kernels.triton.adam.Numbers) and in its verdict.
REGULARIZATION, SHIFT, MAX_NORM = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
KEEP1, TAKE1, KEEP2, TAKE2 = tl.constexpr(3), tl.constexpr(4), tl.constexpr(5), tl.constexpr(6)
STEP, DIVISOR, EPSILON = tl.constexpr(7), tl.constexpr(8), tl.constexpr(9)
NORM, CLIP, ALIVE = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)


@triton.jit
def number(numbers, place):
    """One of the float64 numbers of a step, as float32."""
    return tl.load(numbers + place).to(tl.float32)


@triton.jit
def pointer(addresses, matrix, begin, kind: tl.constexpr):
    """To weight ``begin`` of a matrix of dtype ``kind``; known to the compiler as a multiple of 16 bytes."""
    return tl.multiple_of(tl.load(addresses + matrix).to(tl.pointer_type(kind)), 16) + begin


@triton.jit
def weights_left(sizes, matrix, begin, whole: tl.constexpr):
    """Weights of a matrix from ``begin`` on, int32."""
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
    found, out, base, scores, slopes, matrices, turns, sizes, numbers, masses, squares, count, half: tl.constexpr,
    sloped: tl.constexpr, chunk: tl.constexpr, tile: tl.constexpr, whole: tl.constexpr,
):  # fmt: skip
    """out <- G ⊙ W (⊙ slope) + pull σ(S - shift)(1 - σ(S - shift)); Σσ and Σ out² of a chunk."""
    at = tl.program_id(0)
    matrix = tl.load(matrices + at)
    begin = tl.load(turns + at).to(tl.int64) * chunk
    left = weights_left(sizes, matrix, begin, whole)
    shift = number(numbers, SHIFT)
    pull = (tl.load(numbers + REGULARIZATION) / (tl.load(sizes + matrix) * count).to(tl.float64)).to(tl.float32)
    to, w, s = (
        pointer(out, matrix, begin, tl.float32), pointer(base, matrix, begin, tl.float32),
        pointer(scores, matrix, begin, tl.float32),
    )  # fmt: skip
    g = pointer(found, matrix, begin, tl.bfloat16 if half else tl.float32)
    mass, square = tl.zeros([tile], tl.float32), tl.zeros([tile], tl.float64)
    for start in range(0, chunk, tile):
        place = start + tl.arange(0, tile)
        mine = place < left
        own = tl.load(g + place, mask=mine, other=0.0).to(tl.float32) * tl.load(w + place, mask=mine, other=0.0)
        if sloped:
            given = tl.where(tl.load(slopes + matrix) != 0, left, 0)
            slope = pointer(slopes, matrix, begin, tl.float32)
            own = own * tl.load(slope + place, mask=place < given, other=1.0)
        sigma = sigmoid(tl.load(s + place, mask=mine, other=0.0) - shift)
        own = own + pull * (sigma - sigma * sigma)
        tl.store(to + place, own, mask=mine)
        mass += tl.where(mine, sigma, 0.0)
        wide = tl.where(mine, own, 0.0).to(tl.float64)
        square += wide * wide
    tl.store(masses + at, tl.sum(mass, axis=0).to(tl.float64))
    tl.store(squares + at, tl.sum(square, axis=0))


@triton.jit
def clip(squares, count, others, other_count, losses, loss_count, numbers, verdict, block: tl.constexpr):
    """The norm of all gradients, how much it is clipped, and whether everything so far was finite."""
    lanes = tl.arange(0, block)
    square, bad = tl.zeros([block], tl.float64), tl.zeros([block], tl.int32)
    for start in range(0, count, block):
        square += tl.load(squares + start + lanes, mask=start + lanes < count, other=0.0)
    for start in range(0, other_count, block):
        other = tl.load(others + start + lanes, mask=start + lanes < other_count, other=0.0)
        square += other * other
    for start in range(0, loss_count, block):
        loss = tl.load(losses + start + lanes, mask=start + lanes < loss_count, other=0.0)
        bad += tl.where(tl.abs(loss) < float("inf"), 0, 1)  # a loss that is NaN is below nothing
    total = tl.sum(square, axis=0)
    norm = tl.sqrt(total)
    alive = (tl.load(verdict + ALIVE).to(tl.int32) != 0) & (total < float("inf")) & (tl.sum(bad, axis=0) == 0)
    clip = tl.load(numbers + MAX_NORM) / (norm + 1e-6)
    tl.store(verdict + NORM, norm)
    tl.store(verdict + CLIP, tl.where(clip < 1.0, clip, 1.0))
    tl.store(verdict + ALIVE, alive.to(tl.float64))


@triton.jit
def adam(
    scores, found, first, second, matrices, turns, sizes, numbers, verdict, inverse_temperatures, masses,
    chunk: tl.constexpr, tile: tl.constexpr, whole: tl.constexpr,
):  # fmt: skip
    """One update of moments and scores, none where the verdict is not to live; Σσ(S/p) of the scores as they then are."""
    at = tl.program_id(0)
    matrix = tl.load(matrices + at)
    begin = tl.load(turns + at).to(tl.int64) * chunk
    left = weights_left(sizes, matrix, begin, whole)
    s, g, m, v = (
        pointer(scores, matrix, begin, tl.float32), pointer(found, matrix, begin, tl.float32),
        pointer(first, matrix, begin, tl.float32), pointer(second, matrix, begin, tl.float32),
    )  # fmt: skip
    moving = tl.where(tl.load(verdict + ALIVE).to(tl.int32) != 0, left, 0)
    clip = number(verdict, CLIP)
    keep1, take1 = number(numbers, KEEP1), number(numbers, TAKE1)
    keep2, take2 = number(numbers, KEEP2), number(numbers, TAKE2)
    step, divisor, epsilon = number(numbers, STEP), number(numbers, DIVISOR), number(numbers, EPSILON)
    inverse = tl.load(inverse_temperatures + matrix)
    mass = tl.zeros([tile], tl.float32)
    for start in range(0, chunk, tile):
        place = start + tl.arange(0, tile)
        mine = place < left
        moved = place < moving
        score = tl.load(s + place, mask=mine, other=0.0)
        own = tl.load(g + place, mask=moved, other=0.0) * clip
        mean = tl.load(m + place, mask=moved, other=0.0) * keep1 + own * take1
        spread = tl.load(v + place, mask=moved, other=0.0) * keep2 + own * own * take2
        root = tl.div_rn(tl.sqrt_rn(spread), tl.full([tile], 1.0, tl.float32) * divisor) + epsilon
        score = tl.where(moved, score + step * tl.div_rn(mean, root), score)
        tl.store(m + place, mean, mask=moved)
        tl.store(v + place, spread, mask=moved)
        tl.store(s + place, score, mask=moved)
        if inverse != 0:
            mass += tl.where(mine, sigmoid(score * inverse), 0.0)
    tl.store(masses + at, tl.sum(mass, axis=0).to(tl.float64))


@triton.jit
def add_up(parts, first, sizes, out, mean: tl.constexpr, block: tl.constexpr):
    """Of each matrix the sum over its chunks, or with ``mean`` that by its weights."""
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
