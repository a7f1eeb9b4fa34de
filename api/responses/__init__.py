"""Response machinery: serialization in the route's thread, long polling, event streams, metric
histories and plots.

Called by ``api.routes``. Must not import ``api.routes`` or ``api.submission``.
"""
