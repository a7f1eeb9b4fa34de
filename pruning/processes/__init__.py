"""Child processes: how one is started, watched, read from and ended, and how one ends with its parent.

Called by ``pruning``, ``worker``, ``api`` and ``espalier`` wherever one program starts another. Standard library only, and
nothing else of this project: two of the files are run as scripts, before any other module of ours can be found.
"""
