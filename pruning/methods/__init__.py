"""The methods by name. Each is one small file behind the interface in :mod:`pruning.methods.base`."""

from pruning.methods.base import Method
from pruning.methods.smp_l import SmpL
from pruning.methods.smp_s import SmpS
from pruning.spec import PruningSpec

__all__ = ["Method", "method_of"]


def method_of(spec: PruningSpec) -> Method:
    """The method that a spec asks for, with its options."""
    if spec.method == "smp-l":
        return SmpL()
    return SmpS(temperature=spec.temperature, surplus=spec.surplus)
