"""Entry point of ``python -m pruning``; the arguments are in :mod:`pruning.cli.main`."""

import sys

from pruning.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
