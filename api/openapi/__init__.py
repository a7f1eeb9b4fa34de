"""OpenAPI document: FastAPI's, adapted to this API. Installed by ``api.app``.

Must not import anything of ``api`` but ``api.errors``.
"""
