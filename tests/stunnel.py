"""A stunnel that ends TLS in front of a test's server, as clouds and operators put one in front of Redis."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services import UnavailableError, free_port, listens
from tests.waiting import wait_until

_CONFIG = """
foreground = yes
pid =
syslog = no
debug = 4
output = {folder}/stunnel.log
[redis]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{behind}
cert = {certificates}/server.pem
key = {certificates}/server.key
{more}
"""


@contextmanager
def stunnel(behind: int, certificates: Path, folder: Path, *, clients_too: bool = False) -> Iterator[int]:
    """The port with TLS in front of the port ``behind``; ``certificates`` is a folder of ``tests.certificates``.

    ``clients_too``: clients need a certificate of the same authority. Raises UnavailableError.
    """
    binary = next(filter(None, map(shutil.which, ("stunnel", "stunnel4", "/usr/bin/stunnel4"))), None)
    if binary is None:
        raise UnavailableError("stunnel: there is no stunnel4 to start")
    port, config = free_port(), folder / "stunnel.conf"
    more = f"CAfile = {certificates}/ca.pem\nverifyChain = yes" if clients_too else ""
    config.write_text(_CONFIG.format(folder=folder, port=port, behind=behind, certificates=certificates, more=more))
    with subprocess.Popen([binary, str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/") as process:
        try:
            wait_until(lambda: listens("127.0.0.1", port), what="stunnel")
            yield port
        finally:
            process.terminate()
