"""Kernels for the passes over scores: compiled C++ on the CPU, Triton on NVIDIA GPUs, or plain PyTorch.

``dispatch`` chooses between the first and the last for the modules of :mod:`pruning.masking`; ``triton`` is called by
:mod:`pruning.training.gpu_pruner`. The plain twins, which define what is computed, are the callers' own. Never imports layers,
methods or training.
"""
