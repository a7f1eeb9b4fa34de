"""A real nginx in front of a test's API, with the locations that a test or the operations page gives it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.services import free_port, listens
from tests.waiting import wait_until

_CONFIG = """
{user}daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port}{tls};
        {locations}
    }}
}}
"""


@contextmanager
def nginx(locations: str, folder: Path, certificates: Path | None = None) -> Iterator[str]:
    """Its origin; with TLS where ``certificates`` is a folder of ``tests.certificates``. Skips where there is no nginx."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None:
        pytest.skip("there is no nginx")
    port, tls = free_port(), ""
    if certificates is not None:
        tls = f" ssl; ssl_certificate {certificates}/server.pem; ssl_certificate_key {certificates}/server.key"
    config = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""  # else its workers are a user who may not enter pytest's folders
    config.write_text(_CONFIG.format(user=user, folder=folder, port=port, tls=tls, locations=locations))
    command = [binary, "-c", str(config), "-p", str(folder), "-e", str(folder / "error.log")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: listens("127.0.0.1", port), what="nginx")
            yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        finally:
            process.terminate()
