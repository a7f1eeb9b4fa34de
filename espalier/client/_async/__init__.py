"""Asynchronous client, the one that is written by hand.

Called by ``espalier.client``. ``python -m scripts.unasync`` generates the synchronous modules in ``_sync`` from these (all but
``waiting``), token by token, and a test compares; so both always do the same. Must not import ``pruning``.
"""
