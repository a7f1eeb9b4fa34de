"""Command line of ``python -m pruning``: argument parser, commands, event lines, exit codes, and the torchrun launcher.

Called by ``pruning/__main__.py``; :mod:`espalier.cli` uses its :mod:`pruning.cli.environment`. Nothing else of the library may
import it. Torch is imported inside of commands only.
"""
