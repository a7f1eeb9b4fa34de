"""Models and data sets by name: from local directories (``local``), else from the Hugging Face hub (``models``, ``datasets``).

Called by :mod:`pruning.data` and :mod:`pruning.models`; the API imports ``local`` alone, which needs neither torch nor the hub's
client. Imports only the spec and the errors: the files themselves are checked above, in ``data`` and ``models``.
"""
