"""A PgBouncer in front of a test's PostgreSQL, as strict as it can be set: transaction mode, no startup parameters."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.engine import make_url

from tests.services import UnavailableError, free_port, listens, other_user
from tests.waiting import wait_until


@contextlib.contextmanager
def pgbouncer(database_url: str) -> Iterator[str]:
    """URL of the same database through a pooler that gives each transaction any of its connections."""
    binary = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if binary is None:
        raise UnavailableError("PgBouncer: there is no pgbouncer to start")
    behind, port = make_url(database_url), free_port()
    with tempfile.TemporaryDirectory(prefix="espalier-pgbouncer-") as folder:
        settings = Path(folder) / "pgbouncer.ini"
        password = f" password={behind.password}" if behind.password else ""
        settings.write_text(
            f"[databases]\n{behind.database} = host={behind.host} port={behind.port or 5432} user={behind.username}{password}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
            "pool_mode = transaction\ndefault_pool_size = 3\n",
            encoding="utf-8",
        )
        user = []
        if os.geteuid() == 0:  # which it refuses to run as
            os.chmod(folder, 0o755)
            user = ["-u", other_user().pw_name]
        process = subprocess.Popen([binary, *user, str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")
        try:
            wait_until(lambda: listens("127.0.0.1", port), what="pgbouncer")
            pooled = behind.set(drivername="postgresql", host="127.0.0.1", port=port)
            yield pooled.render_as_string(hide_password=False)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()
