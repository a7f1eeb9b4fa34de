"""Predictions with masks of finished jobs, made by a child process that may load torch, which the API must not.

Called by ``api.routes.predictions``; ``api.app`` makes the one service of a process. Must not import ``api.request``.
"""
