"""Benchmark of the database at scale: simulated workers, submitters and status readers on the service's own tables."""
