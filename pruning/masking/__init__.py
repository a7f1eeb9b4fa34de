"""Masked layers and the arithmetic of pruning: scores, top-k masks, allocation, schedules, score optimizer, methods.

:mod:`pruning.training` drives it step by step; exports and predictions use ``wrap`` and ``bits``. ``methods`` decides which
weights stay, ``kernels`` does the passes over scores on CPU and GPU. Imports ``spec`` and the errors; never models, data or
training.
"""
