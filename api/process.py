"""Application factory for a process of its own: ``uvicorn --factory api.process:create``, as ``espalier serve`` starts it.

Objects that exist once the application is made are permanent. Python's garbage collector would traverse them again and again, which
stops every request for 50 ms each time, so they are frozen (``gc.freeze``).
"""

import gc
import os

from fastapi import FastAPI

from api.app import create_app
from pruning.processes.confinement import close_process_memory
from service.environment import settings_or_exit, warn_of_settings
from service.log_format import configure


def create() -> FastAPI:
    """``api.app.create_app`` with the environment's settings; the process ends with one line where they cannot be used."""
    configure("api")
    close_process_memory()  # uploads are parsed and predictions made in processes of the same user
    settings = settings_or_exit()
    app = create_app(settings)
    warn_of_settings(settings, os.environ)
    gc.collect()
    gc.freeze()
    gc.enable()
    return app
