"""``python -m espalier.cli``: the command line where the ``espalier`` script is not on the path."""

from espalier.cli.main import main

main()
