"""Register of the services that run on this machine: where their data is, for other commands such as ``espalier keys`` and
``doctor``.

``espalier serve`` leaves a file and holds a lock on it for as long as it runs; a file without a lock was left by a service that has
ended. Only this user's services are seen. Holds no passwords: a database elsewhere is named by the environment.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunningService:
    """A running service: its URL and its data folder."""

    url: str
    data_dir: Path


@contextmanager
def registered(service: RunningService) -> Iterator[None]:
    """Let other commands find the service while the block runs. Without a writable folder they do not find it."""
    file = _folder() / f"{os.getpid()}.json"
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps({"url": service.url, "data_dir": str(service.data_dir)}).encode())
        yield
    finally:
        file.unlink(missing_ok=True)
        os.close(descriptor)


def running_services() -> Iterator[RunningService]:
    """The services of this user that run now."""
    for file in sorted(_folder().glob("*.json")):
        with suppress(OSError, ValueError, KeyError, TypeError), file.open("rb") as opened:
            try:
                fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                held = json.loads(opened.read())
                yield RunningService(str(held["url"]), Path(held["data_dir"]))
            else:
                file.unlink()  # left by a service that was killed


def _folder() -> Path:
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "espalier" / "running"
