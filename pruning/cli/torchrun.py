"""``python -m pruning.cli.torchrun DEVICES train …``: torchrun for the ranks of one run, with an exit code that says something.

``python -m pruning train`` becomes this program when its spec asks for several devices, so that whoever started it, the
worker for one, has to know nothing of ranks. torchrun itself leaves with 1 whatever happened; here the exit code is that of
the rank that failed, and a rank's signal is this process's own. The ranks live in sessions of their own, out of reach of a
signal to this process's group; the kernel ends them with this process (:func:`end_with`).
"""

import ctypes
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Iterable, Sequence
from typing import NoReturn

from pruning.events import ExitCode

PROGRAM = "pruning"
"""What a rank runs; tests put another module in its place."""
_WATCH = "--watch-stdin"
_PR_SET_PDEATHSIG = 1


def launched() -> bool:
    """Whether torchrun started this process, which then is a rank."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def become(devices: int, arguments: Sequence[str]) -> NoReturn:
    """Turn this process into the launcher of ``python -m pruning`` with these arguments."""
    os.execv(sys.executable, [sys.executable, "-m", "pruning.cli.torchrun", str(devices), *arguments])  # noqa: S606 - no shell


def end_with(launcher: int) -> None:
    """Let the kernel kill this rank when the process that started it ends, even by ``kill -9``. Linux only."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != launcher:  # it ended before the call above could notice
        os._exit(ExitCode.STOPPED)


def cause(codes: Iterable[int]) -> int:
    """Which of the ranks' exit codes, in the order in which they were noticed, is that of the whole run.

    The first, but for those that only follow from another rank's end. Negative numbers are signals.
    """
    failed = [code for code in codes if code != ExitCode.OK]
    # torchrun ends the others by SIGTERM, which a rank that has just been started cannot answer yet
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
        from pruning.cli.commands import exit_with_parent

        threading.Thread(target=exit_with_parent, name="watch-stdin", daemon=True).start()
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "86400")  # a stop may take what the supervisor grants it
    logging.disable(logging.ERROR)  # standard error is for the ranks' last words
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    torchrun = ["--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={devices}", "-m", PROGRAM]
    try:
        run(parse_args([*torchrun, *arguments, "--launcher", str(os.getpid())]))  # type: ignore[no-untyped-call]
    except ChildFailedError as failure:
        return cause(rank.exitcode for rank in failure.failures.values())
    except SignalException:
        return ExitCode.STOPPED
    return ExitCode.OK


def _leave(code: int) -> NoReturn:
    """Exit with ``code``, or by the signal that it stands for."""
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the rank has left its own dump, if it was to leave one
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    _leave(main())
