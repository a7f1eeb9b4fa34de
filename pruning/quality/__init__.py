"""Quality warnings: what a run says of a result that is there and may be worth nothing, and what to do about it.

``catalog`` is the table of codes, ``budget`` the rule for specs whose run is short for their sparsity, ``outcome`` the judgment of
a finished run. Torch-free: called by the API when a job is submitted and by training at its end. Must not import ``data``,
``models`` or ``training``.
"""
