"""Expansion of a sweep's grid into its jobs, each resolved and validated before any is created.

Called by ``api.routes.sweeps``. Each fault is reported once, with the first combination that has it.
"""

from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from api.errors.validation import blamed_path
from api.schemas.job_request import JobRequest
from api.schemas.sweeps import AXES, SweepRequest
from pruning.errors import PermanentError
from pruning.spec.methods import METHODS
from pruning.spec.wording import describe
from service.sweeps.sweeps import Combination

_RUN_LENGTH = ("epochs", "max_steps")


def expand_grid(request: SweepRequest, *, max_jobs: int) -> list[JobRequest]:
    """The jobs of all combinations, in the order of the grid.

    Methods that do not train take no run length from ``base`` if other methods of the grid do. Raises
    RequestValidationError naming the field and the combination, PermanentError for a grid of more than ``max_jobs``.
    """
    grid = request.grid
    if len(grid) > max_jobs:
        raise PermanentError(
            f"the grid has {len(grid)} combinations and a sweep at most {max_jobs}; leave some out or submit several sweeps",
            code="sweep_too_large",
        )
    jobs: list[JobRequest] = []
    faults: dict[tuple[Any, ...], dict[str, Any]] = {}
    for combination in grid.combinations():
        try:
            jobs.append(JobRequest.model_validate(_job_body(request, combination)))
        except ValidationError as error:
            for fault in error.errors():
                if fault["type"] != "default_factory_not_called":
                    fault["msg"] = describe(fault, JobRequest)
                    located = _fault_of_sweep(request, combination, dict(fault))
                    faults.setdefault((located["loc"], fault["msg"]), located)
    if faults:
        raise RequestValidationError([*faults.values()])
    return jobs


def _job_body(request: SweepRequest, combination: Combination) -> dict[str, Any]:
    base = dict(request.base)
    if not _trains(combination[0]) and any(_trains(method) for method in request.methods):
        base = {name: value for name, value in base.items() if name not in _RUN_LENGTH}
    return base | dict(zip(AXES, combination, strict=True))


def _trains(method: str) -> bool:
    return METHODS[method].trains != "nothing"


def _fault_of_sweep(request: SweepRequest, combination: Combination, fault: dict[str, Any]) -> dict[str, Any]:
    """A fault of one job, with its place in the body of the sweep."""
    first, *rest = [*blamed_path(fault, fault["loc"])] or ["base"]
    if first in AXES:
        axis = AXES[str(first)]
        values: list[Any] = list(getattr(request, axis))
        path = [axis, values.index(combination[list(AXES).index(str(first))])]
    else:
        path = ["base", first, *rest]
    method, sparsity, seed = combination
    where = f"method {method}, sparsity {sparsity:g}, seed {seed}"
    return {"type": fault["type"], "loc": ("body", *path), "msg": f"{fault['msg']} ({where})", "input": None, "described": True}
