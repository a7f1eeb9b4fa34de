"""The ends of ranks under a real torchrun, and what the launcher makes of them."""

import signal
import sys
from pathlib import Path

import pytest

from pruning.cli import torchrun
from pruning.cli.torchrun import run_exit_code
from pruning.events import ExitCode
from pruning.processes.bootstrap import python_command
from tests.processes import is_alive
from tests.pruning.runs import Forked, fork
from tests.waiting import wait_until

LAUNCH = """
import sys
from pruning.cli import torchrun
torchrun.RANK_COMMAND = [sys.executable, "-m", "tests.pruning.cli.fake_rank"]
sys.argv = ["torchrun", "2", *{arguments}]
sys.exit(torchrun._exit_code(torchrun.main()))
"""


def launch(folder: Path, *behaviours: str) -> Forked:
    """The launcher, from a process that has torch loaded."""
    return fork([], folder, before=LAUNCH.format(arguments=[str(folder), *behaviours]))


def ranks(folder: Path) -> list[int]:
    """Process numbers, once both are up."""
    files = [folder / "0", folder / "1"]
    wait_until(lambda: all(file.exists() for file in files), what="two ranks")
    return [int(file.read_text()) for file in files]


@pytest.mark.parametrize(
    ("codes", "whole"),
    [
        ([65, 65], 65),
        ([75, 80], 75),
        ([81, -11], -11),
        ([-9, 81], -9),
        ([75, -9], 75),
        ([80, 80], 80),
        ([0, 80], 80),
        ([1, 81], 1),
        ([81, 81], 1),
        ([-15, 75], 75),
    ],
)
def test_the_first_end_that_follows_from_no_other_is_that_of_the_run(codes: list[int], whole: int) -> None:
    assert run_exit_code(codes) == whole
    assert whole not in (ExitCode.OK, ExitCode.PEER_LOST)


@pytest.mark.parametrize(
    ("behaviours", "code"), [(("0", "0"), 0), (("wait", "65"), ExitCode.PERMANENT), (("-9", "wait"), -signal.SIGKILL)]
)
def test_the_exit_code_is_that_of_the_rank_at_fault(tmp_path: Path, behaviours: tuple[str, str], code: int) -> None:
    assert launch(tmp_path, *behaviours).finish().code == code
    assert not any(is_alive(rank) for rank in ranks(tmp_path))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, ExitCode.STOPPED), (signal.SIGKILL, -signal.SIGKILL)])
def test_ranks_end_with_their_launcher(tmp_path: Path, number: signal.Signals, code: int) -> None:
    launcher = launch(tmp_path, "wait", "wait")
    pids = ranks(tmp_path)
    launcher.signal(number)
    assert launcher.finish().code == code
    wait_until(lambda: not any(is_alive(rank) for rank in pids), what="the end of the ranks")


def test_launcher_and_ranks_run_this_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr("os.execv", lambda path, command: started.append([path, *command]))
    torchrun.exec_launcher(2, ["train", "--spec", "spec.json"])
    module = ["pruning.cli.torchrun", "2", "train", "--spec", "spec.json"]
    assert started == [[sys.executable, *python_command(*module)]]
    assert python_command("pruning") == torchrun.RANK_COMMAND
