"""Synchronous client, generated from ``_async`` by ``python -m scripts.unasync``; only ``waiting`` is written by hand.

Called by ``espalier.client`` and the command line. Must not import ``pruning``, as ``_async`` must not.
"""
