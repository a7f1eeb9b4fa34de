"""Catalogue of the pruning methods: what each one trains, whether its sparsity is set or emerges, and its default settings.

The spec takes its defaults from here, the API lists it; the arithmetic is in :mod:`pruning.masking.methods`. Learning rates and λ
of the SMP methods are the SMP paper's, those of the others the ones of their own reference scripts (movement pruning,
arXiv 2005.07683; L0, arXiv 1712.01312). Methods of other packages are added to it (:mod:`pruning.spec.method_plugins`). Torch-free.
"""

from typing import TYPE_CHECKING, Literal

from pruning.spec.method_info import MethodInfo
from pruning.spec.method_plugins import discover

# fmt: off
BUILT_IN: dict[str, MethodInfo] = {
    info.name: info
    for info in (
        MethodInfo("smp-s", "SMP, shares of matrices by score mass (eq. 4)", "scores", 2e-2, 400.0,
                   counted_by="group", takes_prior=True),
        MethodInfo("smp-l", "SMP, the same share of every matrix", "scores", 2e-2, 400.0,
                   counted_by="matrix", takes_prior=True),
        MethodInfo("smp-g", "SMP, one ranking over all matrices", "scores", 2e-2, 400.0,
                   counted_by="model", takes_prior=True),
        MethodInfo("movement", "Movement pruning: scores and weights trained, top-v of each matrix",
                   "scores and weights", 1e-2, 0.0, counted_by="matrix"),
        MethodInfo("soft-movement", "Soft movement pruning: scores above a threshold stay, weights trained",
                   "scores and weights", 1e-2, 400.0, sparsity="emerges", two_four=False),
        MethodInfo("magnitude", "Magnitude pruning: the largest weights stay; gradual (Zhu & Gupta) or one_shot",
                   "weights", 0.0, 0.0, counted_by="matrix"),
        MethodInfo("l0", "L0 regularisation by hard concrete gates, weights trained",
                   "scores and weights", 1e-1, 125.0, sparsity="emerges", two_four=False),
        MethodInfo("wanda", "Wanda: |W| times input norm, best of each row, from a few rows, without training",
                   "nothing", 0.0, 0.0, counted_by="row"),
        MethodInfo("random", "A random mask without training: the lower bound for every other method", "nothing", 0.0, 0.0,
                   counted_by="matrix"),
    )
}
# fmt: on

_discovered = discover(BUILT_IN)
PLUGINS = _discovered.plugins
"""Methods of other packages, by name."""
BROKEN = _discovered.broken
"""Names of plug-ins that cannot be used, with package and reason."""
METHODS: dict[str, MethodInfo] = {**BUILT_IN, **{name: plugin.info for name, plugin in PLUGINS.items()}}
"""Every method that a spec can name."""


def info_of(name: str) -> MethodInfo:
    """The row of a method; of one that only a mask or a stored spec names, as its package is not installed, a row of nothing."""
    return METHODS.get(name) or MethodInfo(name, "A method of a package that is not installed here", "nothing", 0.0, 0.0)


if TYPE_CHECKING:
    Method = str
else:
    Method = Literal[tuple(METHODS)]  # a schema then lists the names, and a wrong one is refused with them
