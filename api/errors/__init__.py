"""Errors of the HTTP interface: the catalog of codes, the exceptions, and the problem details that they become.

Called by all of ``api``, ``scripts.generate_docs`` and ``api.app``. Must not import anything else of ``api``.
"""
