"""File formats of a mask: safetensors, the entropy-coded ``.espalier``, the reference code's ``.npy``, and trained weights.

Training writes them, exports and predictions read them, ``espalier masks`` converts them. ``docs/reference/mask-format.md`` is the
specification. Torch-free except for ``trained_weights``. Imports ``spec`` and ``masking.bits``; never models, layers or training.
"""
