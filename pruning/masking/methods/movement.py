"""Movement pruning (Sanh et al., 2020): scores follow how weights move, and the weights do move."""

from pruning.masking.methods.smp_l import SmpL


class Movement(SmpL):
    """Top-v of each matrix by scores with dL/dS = dL/d(W ⊙ M) ⊙ W, as SMP-L; the difference is that W is trained too
    (the catalogue says so) and that nothing pulls the scores down."""
