"""The methods by name. Each is one small file behind the interface in :mod:`pruning.masking.methods.base`."""

from collections.abc import Callable

from pruning.masking.methods.base import Calibration, Method
from pruning.masking.methods.hard_concrete import HardConcrete
from pruning.masking.methods.magnitude import Magnitude
from pruning.masking.methods.movement import Movement
from pruning.masking.methods.prior import WandaPrior
from pruning.masking.methods.random import RandomMask
from pruning.masking.methods.smp_g import SmpG
from pruning.masking.methods.smp_l import SmpL
from pruning.masking.methods.smp_s import SmpS
from pruning.masking.methods.soft_movement import SoftMovement
from pruning.masking.methods.two_four import TwoFour
from pruning.masking.methods.wanda import Wanda
from pruning.spec.schema import PruningSpec

__all__ = ["Calibration", "Method", "create_method"]

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


def create_method(spec: PruningSpec) -> Method:
    """The method that a spec asks for, with its pattern and prior."""
    method = _MAKERS[spec.method](spec)
    if spec.pattern == "2:4":
        method = TwoFour(method)
    return WandaPrior(method, spec.prior_strength) if spec.prior == "wanda" else method
