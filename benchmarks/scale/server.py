"""A private PostgreSQL server that counts its statements, and the processor time of its processes.

Called by ``benchmarks.scale``. Settings are those of a small production server with statistics of statements. Commits do not wait
for the disk unless that is asked for: others may use the disk of a shared machine, and what is looked for is work, not waiting.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "512MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track_planning": "on",
    "autovacuum_naptime": "10s",
}
_TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def private_server(*, durable: bool = False) -> Iterator[str]:
    """URL of an empty database on a server of its own, removed in the end; ``durable``: commits wait for the disk.

    Raises SystemExit where PostgreSQL's programs are not installed. The server refuses to run as root, so root starts it as the
    user ``postgres``.
    """
    tools = _tools()
    user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="espalier-scale-") as folder:
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        data, port = f"{folder}/data", _free_port()
        given = {**_SETTINGS, "port": str(port), "unix_socket_directories": folder}
        given |= {} if durable else {"synchronous_commit": "off"}
        options = " ".join(f"-c {name}={value}" for name, value in given.items())
        _run([f"{tools}/initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync"], user)
        _run([f"{tools}/pg_ctl", "-D", data, "-o", options, "-l", f"{folder}/log", "-w", "start"], user)
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            _run([f"{tools}/pg_ctl", "-D", data, "-m", "immediate", "stop"], user)


def server_cpu_seconds(process: int) -> float:
    """Processor time of the whole server so far, user and system; ``process`` is any of its backends, on this machine.

    Raises OSError where the server runs on another one.
    """
    server = int(_fields(process)[1])
    # of the server itself, of its children that ended, and of those that run
    seconds = sum(int(ticks) for ticks in _fields(server)[11:15])
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = _fields(int(folder.name))
        except OSError:  # it ended while we looked
            continue
        if int(fields[1]) == server:
            seconds += int(fields[11]) + int(fields[12])
    return seconds / _TICKS


def _fields(process: int) -> list[str]:
    """``/proc/<process>/stat`` from the third field on: its second is a name that may hold blanks."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def _tools() -> Path:
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        raise SystemExit("there is no initdb here: install PostgreSQL, or name an empty database with --database-url")
    return folders[-1]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _run(command: list[str], user: pwd.struct_passwd | None) -> None:
    identity: dict[str, Any] = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    # output to a file: the server keeps a pipe open, and reading it to its end would wait for the server
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(command, stdout=output, stderr=output, cwd="/", **identity)
        if done.returncode != 0:
            output.seek(0)
            raise SystemExit(f"{command[0]} failed: {output.read().decode(errors='replace')[-500:]}")
