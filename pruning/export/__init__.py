"""Exports of a finished mask: compact, CSR, ONNX, semi-structured and stock folders, each measured against the dense model.

Called by :mod:`pruning.cli`, :mod:`espalier` and, through a child process, :mod:`pruning.training`, which it must not import.
:mod:`pruning.export.results` and :mod:`pruning.export.child_process` are torch-free.
"""
