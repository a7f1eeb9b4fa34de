"""Uploads: their forms, child processes that parse data sets and check models within limits, and what is stored of them.

Called by ``api.routes.datasets`` and ``api.routes.models``; ``api.schemas`` and ``api.submission`` read the columns of stored
splits. Rows are read by :mod:`pruning.data.files`, as the trainer reads them. Must not import anything of ``api`` but
``api.errors``.
"""
