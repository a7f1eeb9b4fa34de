"""Sweeps: grids of jobs that are submitted, listed and cancelled as one, and their results as a table.

Called by the API. Imports ``service.jobs``, which knows nothing of sweeps but a job's ``sweep_id``.
"""
