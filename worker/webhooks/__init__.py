"""Delivery of webhooks: claims due messages from the outbox, signs them and sends them to checked addresses.

Started and stopped by ``worker.app``. Must not import ``worker.run``, ``worker.files`` or ``worker.maintenance``: jobs do not wait
for receivers.
"""
