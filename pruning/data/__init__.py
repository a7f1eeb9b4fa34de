"""Rows of a task, from files or the hub to padded batches: reading, checks against the task, tokenizing, batching.

``jsonl`` and ``profile`` are torch-free: the API checks data sets with them before a job is accepted. The trainer reads
(``reader``), tokenizes (``encoding``, ``squad``, ``token_cache``) and batches (``batching``). Imports ``hub`` and ``spec``; never
models, masking or training.
"""
