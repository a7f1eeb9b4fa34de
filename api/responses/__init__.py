"""Responses that take more than a return value: serialization in the route's thread, long polling, event streams, metric
histories and plots.

Called by ``api.routes``. Must not import ``api.routes`` or ``api.submission``.
"""
