"""Submission of jobs: admission checks, and the expansion of a sweep into jobs.

Called by the routes that submit. Must not import ``api.request`` or anything above it.
"""
