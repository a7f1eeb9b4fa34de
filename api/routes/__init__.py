"""The routes of the HTTP interface, one module for each resource, each with a ``router``.

Included by ``api.app``. Route modules do not import each other.
"""
