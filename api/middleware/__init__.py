"""ASGI middleware: request ids, HTTP metrics, the limit of body sizes, and the loopback guard.

Added by ``api.app`` around all routes. Must not import anything of ``api`` but ``api.errors``.
"""
