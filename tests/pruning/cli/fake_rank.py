"""A rank that trains nothing: ``python -m tests.pruning.cli.fake_rank FOLDER BEHAVIOUR… --launcher PID``, a behaviour
per rank."""

import os
import signal
import sys
from pathlib import Path

from pruning.cli.torchrun import exit_with_launcher
from pruning.events import ExitCode
from tests.waiting import wait_until


def main() -> None:
    """``wait`` for a signal, or end with an exit code or, where it is negative, by a signal."""
    folder, *behaviours, _, launcher = sys.argv[1:]
    exit_with_launcher(int(launcher))
    rank = os.environ["RANK"]
    behaviour = behaviours[int(rank)]
    signal.signal(signal.SIGTERM, lambda *_: os._exit(ExitCode.STOPPED))
    Path(folder, f"{rank}.part").write_text(str(os.getpid()))
    Path(folder, f"{rank}.part").rename(Path(folder, rank))
    if behaviour == "wait":
        while True:
            signal.pause()
    others = [Path(folder, str(other)) for other in range(len(behaviours))]  # one that ends early takes the others with it
    wait_until(lambda: all(file.exists() for file in others), what="all ranks")
    if int(behaviour) < 0:
        os.kill(os.getpid(), -int(behaviour))
    os._exit(int(behaviour))


if __name__ == "__main__":
    main()
