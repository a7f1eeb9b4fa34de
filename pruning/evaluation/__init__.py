"""Evaluation of a head on validation rows: logits, predictions and metrics, the same before, during and after training.

Called by training, by exports (accuracy before and after) and by the evaluation of a downloaded mask. Imports ``data`` and
``spec``; it takes the head as a plain module, so it needs neither models nor masking.
"""
