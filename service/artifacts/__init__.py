"""Artifacts: the files that jobs make, in chunks of the database or as objects of an S3-compatible storage.

``store`` writes and reads them for worker and API, ``backends`` is the choice between the two, ``s3`` the only client of the
object storage, ``garbage`` deletes objects there that nothing refers to. Rows of the database decide what exists: an object that
no row names does not exist for readers. Imports ``service.jobs.fence`` and the quotas; must not import webhooks, sweeps or
operations.
"""
