"""The science of Espalier: a pure library and its own program, ``python -m pruning``.

This file stays free of imports: ``api`` reads ``pruning.spec.schema`` without loading torch.
"""

__version__ = "0.1.0"
