"""Prometheus metrics of a worker: what it counts of its jobs, the memory of its GPUs, and the port they are read from.

Everything is counted whether or not a port is open. Called by ``worker.run``, ``worker.maintenance`` and ``worker.webhooks``
through ``worker.context``; must not import any of them.
"""
