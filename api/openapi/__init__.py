"""The OpenAPI document, as FastAPI makes it and as this API needs it. Installed by ``api.app``.

Must not import anything of ``api`` but ``api.errors``.
"""
