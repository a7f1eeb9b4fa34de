"""Uploaded data sets: readers of JSONL, CSV and Parquet, one row at a time, and the normalised form that is stored.

Called by ``api.routes.datasets``; ``api.schemas`` and ``api.submission`` read the columns of stored splits. Must not import
anything of ``api`` but ``api.errors``.
"""
