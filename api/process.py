"""The application for a process that does nothing else: ``uvicorn --factory api.process:create``, as ``espalier serve`` does.

What is there once the application is made stays for good. Python's collector would walk all of it again and again and find
nothing; each such walk stops every request for 50 ms. So it is told to leave it alone.
"""

import gc

from fastapi import FastAPI

from api.app import create_app


def create() -> FastAPI:
    """``api.app.create_app`` with the environment's settings."""
    app = create_app()
    gc.collect()
    gc.freeze()
    return app
