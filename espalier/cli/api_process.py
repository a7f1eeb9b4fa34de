"""API process of ``espalier serve`` and ``espalier api``: ``python -m espalier.cli.api_process DESCRIPTOR``.

uvicorn on a listening socket that it inherits: ``serve`` holds the port while the API restarts, and callers wait instead of
being refused. (uvicorn's own ``--fd`` takes every socket for a Unix one.)
"""

import gc
import socket
import sys

import uvicorn

from espalier.cli.http_protocol import VersionedHttpProtocol

_LEAVE_SECONDS = 10
"""Seconds that open requests may take after SIGTERM."""


def main() -> None:
    """Serve until SIGTERM."""
    gc.disable()  # until api.process has made the application: a quarter of the start was garbage collections
    listening = socket.socket(fileno=int(sys.argv[1]))
    config = uvicorn.Config(
        "api.process:create",
        factory=True,
        log_config=None,  # api.process configures the log of the whole process
        access_log=False,  # api.middleware.access_log has the lines
        http=VersionedHttpProtocol,
        timeout_graceful_shutdown=_LEAVE_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
