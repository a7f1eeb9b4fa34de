"""A service that accepts connections and never answers: said after a while, and given up with address and limit."""

import os
import pty
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from espalier import AsyncClient, Client, Timeouts
from espalier.cli.service_context import ServiceContext
from espalier.client import timeouts
from espalier.errors import UnreachableError
from tests.processes import ROOT

SHORT = Timeouts(read=0.3)


@pytest.fixture
def silent() -> Iterator[str]:
    """URL of a service that accepts and says nothing: the kernel accepts for it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_the_wait_is_reported_and_the_error_names_address_and_limit(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "SLOW_SECONDS", 0.01)
    slow: list[str] = []
    retried: list[str] = []
    client = Client(silent, timeouts=SHORT, notify=retried.append, notify_when_slow=slow.append)
    with client, pytest.raises(UnreachableError) as gone:
        client.tasks()
    assert slow == [f"waiting for {silent} … (at most 0.3 s)"] * 2, "a second connection may lead to one that works, a third not"
    assert len(retried) == 1
    assert silent in str(gone.value)
    assert "0.3 s" in str(gone.value)


async def _events(url: str) -> None:
    async with AsyncClient(url, timeouts=SHORT, retries=0) as client:
        async for _ in client.events("job_1", live=True, patience=0):
            pass


def test_streams_have_the_same_limit(silent: str) -> None:
    import asyncio

    with pytest.raises(UnreachableError, match=r"0\.3 s"):
        asyncio.run(_events(silent))


def test_an_answer_in_time_says_nothing(silent: str) -> None:
    said: list[str] = []
    with timeouts.notice_when_slow(said.append, silent, 1):
        pass
    assert said == []


def test_this_machine_gets_less_time_to_accept() -> None:
    given = Timeouts(connect=5, connect_loopback=1, read=60, upload=600)
    assert (given.for_requests(loopback=True).connect, given.for_requests(loopback=False).connect) == (1, 5)
    assert (given.for_uploads(loopback=False).read, given.for_uploads(loopback=False).connect) == (600, 5)
    assert Timeouts(connect=0.5).for_requests(loopback=True).connect == 0.5
    assert Timeouts().connect == 5


def test_the_command_line_says_it_on_a_terminal(silent: str) -> None:
    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "espalier.cli", "jobs", "--url", silent]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=end) as process:
        os.close(end)
        said = os.read(terminal, 1000).decode()
        process.kill()
    os.close(terminal)
    assert said.startswith(f"waiting for {silent} ")


def test_but_not_into_a_log(silent: str) -> None:
    assert not sys.stderr.isatty()
    client = ServiceContext(silent, None, as_json=False).client()
    assert client._http._notify_when_slow is None
    client.close()
