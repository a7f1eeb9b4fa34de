"""Use of downloaded masks in the user's own process: ``load_pruned``, ``load_export`` and ``MaskBank``.

Called by users and by ``espalier predict``. Thin: the work is done by :mod:`pruning`, which is imported on first use, because
it needs the ``train`` extra (torch, transformers). Must not import the client: a mask needs no service.
"""
