"""torchrun launcher: ``python -m pruning.cli.torchrun DEVICES train …`` runs one rank per device, with a meaningful exit code.

``python -m pruning train`` becomes this program when its spec asks for several devices, so that the process that started it (the
worker, for example) does not deal with ranks. torchrun itself exits with 1 on any failure; here the exit code is that of
the rank that failed, and a rank's signal is this process's own. The ranks live in sessions of their own, out of reach of a
signal to this process's group; the kernel ends them with this process (:func:`exit_with_launcher`).
"""

import logging
import os
import resource
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

from pruning.cli.environment import watch_stdin
from pruning.events import ExitCode
from pruning.processes.bootstrap import python_command
from pruning.processes.exit import run_program
from pruning.processes.parent_watchdog import set_pdeathsig

RANK_COMMAND = python_command("pruning")
"""What a rank runs, before its arguments; tests put another program in its place."""
_WATCH = "--watch-stdin"


def is_rank() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def exec_launcher(devices: int, arguments: Sequence[str]) -> NoReturn:
    """Turn this process into the launcher of ``python -m pruning`` with these arguments."""
    command = python_command("pruning.cli.torchrun", str(devices), *arguments)
    os.execv(command[0], command)  # noqa: S606 - no shell


def exit_with_launcher(launcher: int) -> None:
    """Let the kernel kill this rank when the process that started it ends, even by ``kill -9``. Linux only."""
    try:
        set_pdeathsig(launcher)
    except ProcessLookupError:
        os._exit(ExitCode.STOPPED)


def run_exit_code(codes: Iterable[int]) -> int:
    """Exit code of the whole run, from those of the ranks in the order in which they were noticed.

    The first, except for those that only follow from another rank's end. Negative numbers are signals.
    """
    failed = [code for code in codes if code != ExitCode.OK]
    # torchrun ends the others by SIGTERM, which a rank that has just been started cannot handle yet
    follow = (ExitCode.STOPPED, ExitCode.PEER_LOST, -signal.SIGTERM)
    first = [code for code in failed if code not in follow]
    if first:
        return first[0]
    return ExitCode.STOPPED if ExitCode.STOPPED in failed else ExitCode.BUG


def main() -> int:
    """Run the ranks to their end; the exit code."""
    devices, *arguments = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: os._exit(ExitCode.STOPPED))  # until torchrun listens: no rank is there yet
    if _WATCH in arguments:  # here and not in the ranks: each line of the supervisor's is read by one process only
        arguments.remove(_WATCH)
        watch_stdin()
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "86400")  # a stop may take as long as the supervisor allows
    logging.disable(logging.ERROR)  # standard error is for the last lines of the ranks
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    torchrun = ["--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={devices}", "--no-python", *RANK_COMMAND]
    try:
        run(parse_args([*torchrun, *arguments, "--launcher", str(os.getpid())]))  # type: ignore[no-untyped-call]
    except ChildFailedError as failure:
        return run_exit_code(rank.exitcode for rank in failure.failures.values())
    except SignalException:
        return ExitCode.STOPPED
    return ExitCode.OK


def _exit_code(code: int) -> int:
    """The code to exit with; ends this process by the signal where ``code`` stands for one."""
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the rank has left its own dump, if it was to leave one
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


if __name__ == "__main__":
    run_program(lambda: _exit_code(main()))
