"""Uploaded data sets: the form, a child process that parses it within limits, and the normalised form that is stored.

Called by ``api.routes.datasets``; ``api.schemas`` and ``api.submission`` read the columns of stored splits. The files are read by
:mod:`pruning.data.files`, as the trainer reads them. Must not import anything of ``api`` but ``api.errors``.
"""
