"""Asynchronous client, the hand-written half of the client.

Called by ``espalier.client``. ``python -m scripts.unasync`` generates the synchronous modules in ``_sync`` from these (all but
``waiting``), token by token, and a test compares; so both behave alike. Must not import ``pruning``.
"""
