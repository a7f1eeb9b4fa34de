"""``report.json`` and ``report.html``: what a run did and what came of it, for a person and for a program.

``history`` notes the steps while they pass, ``collect`` makes the numbers, ``page`` draws them. Called by
:mod:`pruning.training.loop` and :mod:`pruning.training.finalize`. Torch-free but for the packing of the history into a checkpoint.
"""
