"""Readers of data files, one row at a time: JSONL, CSV and Parquet, plain or gzipped.

Called by the API for uploads and by :mod:`pruning.data.reader` for local folders and hub data sets, so that what is accepted is
read in the same way when a job runs. Standard library and pyarrow only: a child process that parses an upload starts in 0.15 s.
"""
