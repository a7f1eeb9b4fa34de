"""Life of one attempt: claim, prepare, run the trainer, record its events and artifacts, record the outcome.

Entered through ``worker.run.loop`` by the Celery task in ``worker.app`` and by ``worker.maintenance``. Must not import these, nor
``worker.webhooks``.
"""
