"""Background work of every worker: recovery of lost jobs, start of jobs without a notification, removal of unused files and rows.

Started and stopped by ``worker.app``. Must not import ``worker.app`` or ``worker.webhooks``.
"""
