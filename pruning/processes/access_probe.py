"""Probe of another user's file permissions: ``python bootstrap.py pruning.processes.access_probe READABLE… -- WRITABLE…``.

The worker starts it as the trainers' user before it takes jobs (``worker.run.trainer_user``): a response shows that this user
can run the interpreter and find our packages. It is one line of JSON; then the process waits to be killed, which is tried as well.
"""

import json
import os
import sys
from pathlib import Path


def main() -> None:
    """Print which of the folders this process cannot use; of one that does not exist yet, the nearest that does is tried."""
    split = sys.argv.index("--")
    readable, writable = sys.argv[1:split], sys.argv[split + 1 :]
    closed = [folder for folder in readable if not os.access(folder, os.R_OK | os.X_OK)]
    closed += [folder for folder in writable if not os.access(_nearest(Path(folder)), os.W_OK | os.X_OK)]
    print(json.dumps({"user": os.getuid(), "group": os.getgid(), "closed": closed}), flush=True)
    sys.stdin.read()


def _nearest(folder: Path) -> Path:
    return next((above for above in (folder, *folder.parents) if os.path.lexists(above)), Path("/"))


if __name__ == "__main__":
    main()
