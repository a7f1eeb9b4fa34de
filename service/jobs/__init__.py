"""Jobs: their state machine and everything that reads or writes a job's row.

``transitions`` is the lowest layer; ``claims`` and ``reaper`` are called by the worker, ``commands``, ``queries``, ``views``,
``exports`` and ``evaluations`` by the API. Imports the tables, the states and the errors, and nothing else of ``service``: no
settings, no secrets, no artifact storage, no webhook delivery.
"""
