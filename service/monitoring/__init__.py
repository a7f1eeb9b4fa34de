"""Prometheus metrics that API and worker processes have in common: definitions, the registry of a process, the database pool.

Each process counts by itself and is scraped by itself; what is read from tables is in ``service.operations.statistics``. Must not
import ``api`` or ``worker``, which define their own metrics with what is here.
"""
