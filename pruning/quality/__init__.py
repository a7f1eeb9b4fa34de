"""Quality warnings: reasons to doubt the result of a run that succeeded, with remedies.

``catalog`` is the table of codes, ``budget`` the rule for specs whose run is short for their sparsity, ``outcome`` the warnings
about a finished run. Torch-free: called by the API when a job is submitted and by training at its end. Must not import ``data``,
``models`` or ``training``.
"""
