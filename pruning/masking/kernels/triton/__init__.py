"""Fused Triton programs of a training step on an NVIDIA GPU: one launch covers all matrices, and no launch waits for a number.

``adam``: gradients, clipping and Adam; ``topk``: exact selection, masks, masked weights; ``allocation``: counts of smp-s. All
three need Triton, which comes with torch for GPUs, and are imported only once ``availability`` has found it: there, and by
:mod:`pruning.training.gpu_pruner`. ``chunk_table`` and ``transfers`` are plain torch. Masks equal those of the plain twins to
the last bit; sums and updates are equal up to rounding. Never imports training or methods.
"""
