"""The methods by name. Each is one small file behind the interface in :mod:`pruning.methods.base`."""

from collections.abc import Callable

from pruning.methods.base import Calibration, Method
from pruning.methods.hard_concrete import HardConcrete
from pruning.methods.magnitude import Magnitude
from pruning.methods.movement import Movement
from pruning.methods.prior import WandaPrior
from pruning.methods.random_mask import RandomMask
from pruning.methods.smp_g import SmpG
from pruning.methods.smp_l import SmpL
from pruning.methods.smp_s import SmpS
from pruning.methods.soft_movement import SoftMovement
from pruning.methods.two_four import TwoFour
from pruning.methods.wanda import Wanda
from pruning.spec import PruningSpec

__all__ = ["Calibration", "Method", "method_of"]

_MAKERS: dict[str, Callable[[PruningSpec], Method]] = {
    "smp-s": lambda spec: SmpS(temperature=spec.temperature, surplus=spec.surplus),
    "smp-l": lambda spec: SmpL(),
    "smp-g": lambda spec: SmpG(),
    "movement": lambda spec: Movement(),
    "soft-movement": lambda spec: SoftMovement(),
    "magnitude": lambda spec: Magnitude(),
    "l0": lambda spec: HardConcrete(),
    "wanda": lambda spec: Wanda(),
    "random": lambda spec: RandomMask(spec.seed),
}


def method_of(spec: PruningSpec) -> Method:
    """The method that a spec asks for, with its pattern and prior."""
    method = _MAKERS[spec.method](spec)
    if spec.pattern == "2:4":
        method = TwoFour(method)
    return WandaPrior(method, spec.prior_strength) if spec.prior == "wanda" else method
