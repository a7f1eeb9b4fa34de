"""Pruning library of Espalier and its trainer program, ``python -m pruning``.

This file stays free of imports: ``api`` reads ``pruning.spec.schema`` without loading torch.
"""

__version__ = "0.1.0"
