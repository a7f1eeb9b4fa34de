"""Request handling before a route runs: authentication, limits, idempotency, filters, conditional headers, shared services.

``api.routes`` and ``api.responses`` take their dependencies from here, ``api.app`` builds the services. Must not import
``api.routes``, ``api.responses`` or ``api.submission``.
"""
