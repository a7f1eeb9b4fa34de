"""Class weights as a spec gives them: ``balanced``, or one positive number per class; anything else is refused.

A field of :mod:`pruning.spec.fields`; :mod:`pruning.training.class_weights` computes the numbers. Torch-free.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from pruning.spec.custom_task import MAX_CLASSES
from pruning.spec.wording import quoted

MOST = 1e6
"""Largest weight; above it one row dominates a whole batch."""


def _checked(given: Any) -> Any:
    """A single message for the union, in place of one for each branch."""
    if given is None or given == "balanced":
        return given
    if not isinstance(given, list | tuple) or not given:
        raise _refusal(f"it is {quoted(given)}")
    for number, weight in enumerate(given):
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight <= MOST:
            raise _refusal(f"that of class {number} is {quoted(weight)}")
    return given


def _refusal(fault: str) -> PydanticCustomError:
    return PydanticCustomError(
        "class_weights_invalid",
        "class_weights takes null, balanced, or a list of one number per class, above 0 and at most {most}; {fault}",
        {"most": f"{MOST:,.0f}", "fault": fault},
    )


ClassWeightsGiven = Annotated[
    Literal["balanced"]
    | Annotated[tuple[Annotated[float, Field(gt=0, le=MOST)], ...], Field(min_length=1, max_length=MAX_CLASSES)],
    BeforeValidator(_checked),
]
