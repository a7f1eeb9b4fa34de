"""Triton kernels of exact top-k selection: bracket counts, radix search, masks and masked weights.

Launched by :mod:`pruning.masking.kernels.triton.topk`, whose docstring has the order of the passes. Scores are compared as
*keys*: integers in the order of the floats, -0.0 taken for 0.0, so nothing is flushed or rounded. Only integers are added
atomically, and the order in which candidates are stored does not affect any mask.
"""

import triton
import triton.language as tl

from pruning.masking.kernels.triton.adam_kernels import pointer, weights_left
from pruning.masking.kernels.triton.key_kernels import is_nan, key_of, key_of_float, rounded, score_of

# Rows of the state int64 [rows, rankings], in the order of pruning.masking.kernels.triton.topk.State.
LOW, HIGH, ABOVE, INSIDE, WARM = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2), tl.constexpr(3), tl.constexpr(4)
LEFT, PREFIX, TIES, NAN, FAULT = tl.constexpr(5), tl.constexpr(6), tl.constexpr(7), tl.constexpr(8), tl.constexpr(9)
COLD, KNOWN = tl.constexpr(10), tl.constexpr(11)
NOT_A_NUMBER, OUT_OF_RANGE = tl.constexpr(1), tl.constexpr(2)
MISS_FACTOR, SHRINK_FACTOR = tl.constexpr(6.0), tl.constexpr(0.7)


@triton.jit
def count_above(
    scores,
    matrices,
    chunk_numbers,
    sizes,
    ranking_of,
    state,
    rankings,
    areas,
    capacities,
    chunk: tl.constexpr,
    tile: tl.constexpr,
    whole: tl.constexpr,
):
    """Count the scores above a ranking's bracket; store the keys inside it, as far as they fit, in its area."""
    at = tl.program_id(0)
    matrix = tl.load(matrices + at)
    ranking = tl.load(ranking_of + at)
    own = state + ranking
    if tl.load(own + KNOWN * rankings) == 0:
        return
    begin = tl.load(chunk_numbers + at).to(tl.int64) * chunk
    left = weights_left(sizes, matrix, begin, whole)
    s = pointer(scores, matrix, begin, tl.int32)
    low, high = tl.load(own + LOW * rankings).to(tl.uint32), tl.load(own + HIGH * rankings).to(tl.uint32)
    area, capacity = tl.load(areas + ranking).to(tl.pointer_type(tl.int32)), tl.load(capacities + ranking)
    above, nans = tl.zeros([tile], tl.int32), tl.zeros([tile], tl.int32)
    for start in range(0, chunk, tile):
        offsets = start + tl.arange(0, tile)
        valid = offsets < left
        bits = tl.load(s + offsets, mask=valid, other=0)
        key = key_of(bits)
        above += tl.where(valid & (key > high), 1, 0)
        nans += tl.where(is_nan(bits), 1, 0)
        inside = tl.where(valid & (key >= low) & (key <= high), 1, 0)
        count = tl.sum(inside, axis=0)
        if count > 0:
            to = tl.atomic_add(own + INSIDE * rankings, count.to(tl.int64), sem="relaxed")
            to += tl.cumsum(inside, axis=0) - 1
            tl.store(area + to, key.to(tl.int32, bitcast=True), mask=(inside > 0) & (to < capacity))
    tl.atomic_add(own + ABOVE * rankings, tl.sum(above, axis=0).to(tl.int64), sem="relaxed")
    if tl.sum(nans, axis=0) > 0:
        tl.store(own + NAN * rankings, 1)


@triton.jit
def check_bracket(state, rankings, counts, totals, capacities, block: tl.constexpr):
    """Whether the k-th score of each ranking is among its candidates, and how many of the searched scores are to be kept."""
    ranking = tl.program_id(0) * block + tl.arange(0, block)
    valid = ranking < rankings
    own = state + ranking
    asked = tl.load(counts + ranking, mask=valid, other=0)
    total = tl.load(totals + ranking, mask=valid, other=0)
    k = tl.minimum(tl.maximum(asked, 0), total)
    above = tl.load(own + ABOVE * rankings, mask=valid, other=0)
    inside = tl.load(own + INSIDE * rankings, mask=valid, other=0)
    known = tl.load(own + KNOWN * rankings, mask=valid, other=0)
    fits = inside <= tl.load(capacities + ranking, mask=valid, other=0)
    warm = tl.where((known != 0) & fits & (above < k) & (k <= above + inside), 1, 0).to(tl.int64)
    fault = tl.load(own + FAULT * rankings, mask=valid, other=0)
    tl.store(own + FAULT * rankings, tl.where(asked == k, fault, fault | OUT_OF_RANGE), mask=valid)
    tl.store(own + WARM * rankings, warm, mask=valid)
    tl.store(own + LEFT * rankings, tl.where(warm > 0, k - above, k), mask=valid)
    tl.store(own + PREFIX * rankings, tl.zeros([block], tl.int64), mask=valid)
    cold = tl.load(own + COLD * rankings, mask=valid, other=0)
    tl.store(own + COLD * rankings, cold + 1 - warm, mask=valid)


@triton.jit(do_not_specialize=["shift"])
def count_digits(
    scores,
    matrices,
    chunk_numbers,
    sizes,
    ranking_of,
    firsts,
    state,
    rankings,
    areas,
    histogram,
    shift,
    chunk: tl.constexpr,
    tile: tl.constexpr,
    whole: tl.constexpr,
):
    """Histogram of the eight bits from ``shift`` on, of the keys that begin with the prefix: of a ranking's candidates where
    it is warm, else of all its scores."""
    at = tl.program_id(0)
    matrix = tl.load(matrices + at)
    ranking = tl.load(ranking_of + at)
    own = state + ranking
    warm = tl.load(own + WARM * rankings) != 0
    begin = tl.load(chunk_numbers + at).to(tl.int64) * chunk
    left = weights_left(sizes, matrix, begin, whole)
    address = tl.load(scores + matrix)
    if warm:
        begin = (at - tl.load(firsts + ranking)).to(tl.int64) * chunk
        left = (tl.load(own + INSIDE * rankings) - begin).to(tl.int32)
        address = tl.load(areas + ranking)
    if left <= 0:
        return
    s = tl.multiple_of(address.to(tl.pointer_type(tl.int32)), 16) + begin
    # areas end at a multiple of sixteen, as matrices do where they are whole
    readable = (left + 15) // 16 * 16 if whole else left
    prefix = tl.load(own + PREFIX * rankings).to(tl.uint32)
    known = (-256 << shift).to(tl.uint32)  # at first no bit is
    found, nans = tl.zeros([256], tl.int32), tl.zeros([tile], tl.int32)
    for start in range(0, tl.minimum(left, chunk), tile):
        offsets = start + tl.arange(0, tile)
        bits = tl.load(s + offsets, mask=offsets < readable, other=0)
        key = tl.where(warm, bits.to(tl.uint32, bitcast=True), key_of(bits))
        match = (offsets < left) & ((key & known) == prefix)
        found += tl.histogram(((key >> shift) & 255).to(tl.int32), 256, mask=match)
        nans += tl.where((offsets < left) & is_nan(bits), 1, 0)
    if tl.where(warm, 0, tl.sum(nans, axis=0)) > 0:  # candidates are keys
        tl.store(own + NAN * rankings, 1)
    digit = tl.arange(0, 256)
    tl.atomic_add(histogram + ranking * 256 + digit, found, mask=found > 0, sem="relaxed")


@triton.jit(do_not_specialize=["shift"])
def choose_digit(state, rankings, counts, totals, histogram, brackets, shift):
    """One more digit of the k-th key; after the last digit the state for the next selection."""
    ranking = tl.program_id(0)
    own = state + ranking
    digit = tl.arange(0, 256)
    here = histogram + ranking * 256 + digit
    found = tl.load(here)
    tl.debug_barrier()  # the thread that stores a number need not be the one that loaded it
    tl.store(here, tl.zeros([256], tl.int32))
    left = tl.load(own + LEFT * rankings)
    from_here = (tl.sum(found, axis=0) - tl.cumsum(found, axis=0) + found).to(tl.int64)
    last = tl.maximum(tl.sum(tl.where(from_here >= left, 1, 0), axis=0) - 1, 0)
    ties = tl.sum(tl.where(digit == last, found, 0), axis=0)
    left -= tl.sum(tl.where(digit == last, from_here, 0), axis=0) - ties
    prefix = tl.load(own + PREFIX * rankings) + (last.to(tl.int64) << shift)
    tl.store(own + LEFT * rankings, left)
    tl.store(own + PREFIX * rankings, prefix)
    if shift == 0:
        tl.store(own + TIES * rankings, ties.to(tl.int64))
        set_bracket(own, rankings, brackets + ranking, prefix)
        k, total = tl.load(counts + ranking), tl.load(totals + ranking)
        if (tl.load(own + NAN * rankings) != 0) & (k > 0) & (k < total):
            tl.store(own + FAULT * rankings, tl.load(own + FAULT * rankings) | NOT_A_NUMBER)
        tl.store(own + NAN * rankings, 0)
        tl.store(own + ABOVE * rankings, 0)
        tl.store(own + INSIDE * rankings, 0)


@triton.jit
def set_bracket(own, rankings, bracket, threshold):
    """The bracket of the next selection: around the threshold moved on as it moved before, wider than this one was off.

    ``bracket`` has in its first row the expected threshold, then the width, then the last threshold.
    """
    now = score_of(threshold)
    miss, drift = tl.abs(now - tl.load(bracket)), now - tl.load(bracket + 2 * rankings)
    width = tl.load(bracket + rankings)
    if tl.load(own + KNOWN * rankings) == 0:
        miss, drift = 0.0, 0.0
    wider = tl.maximum(MISS_FACTOR * miss, SHRINK_FACTOR * width)
    wider = tl.where(wider < 1e30, wider, 0.0)  # the threshold has been infinite
    tl.store(bracket, now + drift)
    tl.store(bracket + rankings, wider)
    tl.store(bracket + 2 * rankings, now)
    tl.store(own + LOW * rankings, key_of_float(now + drift - wider))
    tl.store(own + HIGH * rankings, key_of_float(now + drift + wider))
    tl.store(own + KNOWN * rankings, 1)


@triton.jit
def count_ties(
    scores,
    matrices,
    chunk_numbers,
    sizes,
    ranking_of,
    state,
    rankings,
    ties,
    chunk: tl.constexpr,
    tile: tl.constexpr,
    whole: tl.constexpr,
):
    """Number of scores at the threshold in each chunk, of rankings that do not keep all of them."""
    at = tl.program_id(0)
    matrix = tl.load(matrices + at)
    own = state + tl.load(ranking_of + at)
    if tl.load(own + LEFT * rankings) == tl.load(own + TIES * rankings):
        return
    begin = tl.load(chunk_numbers + at).to(tl.int64) * chunk
    left = weights_left(sizes, matrix, begin, whole)
    s = pointer(scores, matrix, begin, tl.int32)
    threshold = tl.load(own + PREFIX * rankings).to(tl.uint32)
    count = tl.zeros([tile], tl.int32)
    for start in range(0, chunk, tile):
        offsets = start + tl.arange(0, tile)
        bits = tl.load(s + offsets, mask=offsets < left, other=0)
        count += tl.where((offsets < left) & (key_of(bits) == threshold), 1, 0)
    tl.store(ties + at, tl.sum(count, axis=0))


@triton.jit
def write(
    scores,
    base,
    weights,
    bf16_weights,
    masks,
    matrices,
    chunk_numbers,
    sizes,
    ranking_of,
    firsts,
    state,
    rankings,
    ties,
    kept,
    fp32: tl.constexpr,
    bf16: tl.constexpr,
    block: tl.constexpr,
    chunk: tl.constexpr,
    tile: tl.constexpr,
    whole: tl.constexpr,
):
    """Mask (eight weights in a byte, lowest bit first) and W ⊙ M of a chunk, and its ones; nothing where there is a fault."""
    at = tl.program_id(0)
    matrix = tl.load(matrices + at)
    ranking = tl.load(ranking_of + at)
    own = state + ranking
    if tl.load(own + FAULT * rankings) != 0:
        return
    begin = tl.load(chunk_numbers + at).to(tl.int64) * chunk
    left = weights_left(sizes, matrix, begin, whole)
    threshold = tl.load(own + PREFIX * rankings).to(tl.uint32)
    allowed = tl.load(own + LEFT * rankings)
    cut = allowed < tl.load(own + TIES * rankings)
    if cut:  # by the ties in the chunks before this one
        lanes, before = tl.arange(0, block), tl.zeros([block], tl.int32)
        for start in range(tl.load(firsts + ranking), at, block):
            before += tl.load(ties + start + lanes, mask=start + lanes < at, other=0)
        allowed -= tl.sum(before, axis=0)
    s = pointer(scores, matrix, begin, tl.int32)
    bytes_ = tl.load(masks + matrix).to(tl.pointer_type(tl.uint8)) + begin // 8
    ones = tl.zeros([tile], tl.int32)
    for start in range(0, chunk, tile):
        offsets = start + tl.arange(0, tile)
        valid = offsets < left
        key = key_of(tl.load(s + offsets, mask=valid, other=0))
        tie = tl.where(valid & (key == threshold), 1, 0)
        keep = tl.where(valid & (key > threshold), 1, 0)
        if cut:
            keep += tl.where(tl.cumsum(tie, axis=0) <= allowed, tie, 0)
            allowed -= tl.sum(tie, axis=0)
        else:
            keep += tie
        ones += keep
        if fp32 or bf16:
            weight = tl.load(pointer(base, matrix, begin, tl.float32) + offsets, mask=valid, other=0.0) * keep.to(tl.float32)
            if fp32:
                tl.store(pointer(weights, matrix, begin, tl.float32) + offsets, weight, mask=valid)
            if bf16:
                tl.store(pointer(bf16_weights, matrix, begin, tl.int16) + offsets, rounded(weight), mask=valid)
        packed = tl.sum(tl.reshape(keep, [tile // 8, 8]) << tl.arange(0, 8)[None, :], axis=1).to(tl.uint8)
        byte = start // 8 + tl.arange(0, tile // 8)
        tl.store(bytes_ + byte, packed, mask=byte < (left + 7) // 8)
    tl.store(kept + at, tl.sum(ones, axis=0))
