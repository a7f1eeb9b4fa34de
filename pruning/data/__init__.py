"""Rows of a task, from files or the hub to padded batches: reading, checks against the task, tokenizing, batching.

``files``, ``jsonl``, ``labels``, ``label_sets``, ``column_checks`` and ``local_check`` are torch-free: the API reads and checks
data sets with them before a job is accepted. The trainer reads (``reader``, ``hub_rows``), tokenizes (``encoding``, ``squad``,
``token_cache``) and batches (``batching``). Imports ``hub`` and ``spec``; never models, masking or training.
"""
