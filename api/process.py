"""Application factory for a process of its own: ``uvicorn --factory api.process:create``, as ``espalier serve`` starts it.

What exists once the application is made stays for good. Python's garbage collector would walk all of it again and again, and each
walk stops every request for 50 ms, so these objects are taken out of its sight.
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
    return app
