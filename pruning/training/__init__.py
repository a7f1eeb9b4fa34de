"""Training of masks: set-up of a run, its loop with two backends, distribution, checkpoints, and the artifacts at the end.

Called by ``python -m pruning train``; :mod:`pruning.training.train` is the sequence of a run, :mod:`pruning.training.loop` its
loop. The top of the library: nothing but :mod:`pruning.cli` may import it.
"""
