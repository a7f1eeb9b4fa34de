"""Use of finished masks: a mask on its base model, many masks on one base, and a cache of them for a prediction process.

Called by :mod:`pruning.cli`, :mod:`pruning.export` and :mod:`espalier.inference`. Must not import :mod:`pruning.training`.
"""
