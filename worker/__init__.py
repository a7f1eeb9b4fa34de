"""Worker of the service: claims jobs, runs one trainer process per job and records what it reports.

``worker.app`` is the process; ``worker.run`` has the life of one attempt, ``worker.files`` the files on this host's disk,
``worker.maintenance`` and ``worker.webhooks`` the background threads. Started by ``python -m worker``. Imports ``service`` and
the torch-free part of ``pruning``; never ``api`` or ``espalier``, and no torch: the arithmetic is done by the trainer.
"""
