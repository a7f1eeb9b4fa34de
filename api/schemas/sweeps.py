"""Request and response bodies of sweeps, built from rows while their session is open."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from api.schemas.base import Page, StrictModel
from pruning.spec.methods import Method
from service.db import models
from service.states import TERMINAL, Status
from service.sweeps.results import Table, build_table, progress
from service.sweeps.sweeps import Combination, Grid, count_by_status

AXES = {"method": "methods", "sparsity": "sparsities", "seed": "seeds"}
"""Field of the spec → list of the sweep, in the order of ``service.sweeps.sweeps.Combination``."""


def _distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) != len(values):
        raise PydanticCustomError("not_distinct", "each value may be named once")
    return values


class SweepRequest(StrictModel, BaseModel):  # BaseModel by name: the linter then knows that defaults are copied
    """A grid of jobs. Every combination of method, sparsity and seed becomes one."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={
            "examples": [
                {
                    "base": {"model": "bert-base-uncased", "task": "sst2", "max_steps": 2000},
                    "methods": ["smp-s", "movement", "magnitude"],
                    "sparsities": [0.5, 0.8, 0.9, 0.97],
                    "seeds": [1, 2, 3],
                }
            ]
        },
    )

    base: dict[str, Any] = Field(
        description="Shared fields of all jobs: the body of POST /v1/jobs without method, sparsity and seed"
    )
    methods: Annotated[list[Method], Field(min_length=1), AfterValidator(_distinct)] = ["smp-s"]
    sparsities: Annotated[
        list[Annotated[float, Field(strict=True, ge=0, lt=1)]], Field(min_length=1, max_length=1000), AfterValidator(_distinct)
    ]
    seeds: Annotated[
        list[Annotated[int, Field(strict=True, ge=0, lt=2**32)]], Field(min_length=1, max_length=1000), AfterValidator(_distinct)
    ] = [42]
    baseline: float | None = Field(
        None, description="The metric of the dense, fine-tuned model, if you know it: the dashed line of the plot"
    )

    @model_validator(mode="after")
    def _axes_beside_base(self) -> Self:
        for name, axis in AXES.items():
            if name in self.base:
                raise PydanticCustomError(
                    "sweep_axis",
                    "leave {name} out of base and give {axis}, a list, next to it",
                    {"param": f"base.{name}", "name": name, "axis": axis},
                )
        return self

    @property
    def grid(self) -> Grid:
        return Grid(tuple(self.methods), tuple(self.sparsities), tuple(self.seeds))


class SweepRow(BaseModel):
    """One combination, and the result of its newest job."""

    method: str
    sparsity: float = Field(description="Requested sparsity")
    seed: int
    job_id: str | None = Field(description="null: the job was deleted")
    status: Status | None
    metric: float | None = Field(description="Metric of the final mask; null before the job has succeeded")
    remaining: float | None = Field(description="Share of the masked weights that is kept, as reached")
    mask_bytes: int | None
    compact_mask_bytes: int | None
    seconds: float | None = Field(description="Length of the run that made the mask")


class SweepMean(BaseModel):
    """One method at one sparsity, over the seeds whose jobs have succeeded."""

    method: str
    sparsity: float
    runs: int = Field(description="Number of these seeds")
    metric: float | None
    lowest: float | None = Field(description="Metric of the worst seed")
    highest: float | None = Field(description="Metric of the best seed")
    remaining: float | None
    compact_mask_bytes: float | None


class SweepResults(BaseModel):
    """Results so far."""

    metric: str | None = Field(description="Name of the metric; null before a job has succeeded")
    dense: float | None = Field(description="Metric of the dense model, zero-shot")
    fine_tuned: float | None = Field(description="Metric of the dense model, fine-tuned, where the jobs have a baseline")
    baseline: float | None = Field(description="Metric of the dense model as submitted with the sweep")
    rows: list[SweepRow]
    means: list[SweepMean]

    @classmethod
    def from_table(cls, table: Table, baseline: float | None) -> Self:
        return cls(baseline=baseline, **asdict(table))


class SweepSummary(BaseModel):
    """A sweep in a list."""

    id: str = Field(examples=["swp_01jd3xk5m8v6q2zr9w4t7y1n0b"])
    status: Literal["active", "ended"] = Field(description="ended: all its jobs have ended")
    progress: float = Field(description="Share of the work that is done, 0 to 1")
    jobs: dict[Status, int] = Field(description="How many combinations are in each state, by their newest job")
    base: dict[str, Any] = Field(description="Shared fields of all jobs, as given")
    methods: list[str]
    sparsities: list[float]
    seeds: list[int]
    metadata: dict[str, str]
    created_at: datetime

    @classmethod
    def from_row(cls, row: models.Sweep, jobs: Mapping[Combination, models.Job]) -> Self:
        """``jobs`` has the latest job of each combination (``service.sweeps.sweeps.latest_jobs``)."""
        return cls(**_summary(row, jobs))


class Sweep(SweepSummary):
    """A sweep with its results."""

    results: SweepResults

    @classmethod
    def from_row(cls, row: models.Sweep, jobs: Mapping[Combination, models.Job]) -> Self:
        """Like :meth:`SweepSummary.from_row`, with the results."""
        table = build_table(Grid.from_row(row), jobs)
        return cls(**_summary(row, jobs), results=SweepResults.from_table(table, row.baseline))


class SweepList(Page[SweepSummary]):
    """A page of sweeps, newest first."""


def _summary(row: models.Sweep, jobs: Mapping[Combination, models.Job]) -> dict[str, Any]:
    ended = all(job.status in TERMINAL for job in jobs.values())
    return {
        "id": row.id,
        "status": "ended" if ended else "active",
        "progress": round(progress(Grid.from_row(row), jobs), 4),
        "jobs": count_by_status([*jobs.values()]),
        "base": row.base,
        "methods": row.grid["methods"],
        "sparsities": row.grid["sparsities"],
        "seeds": row.grid["seeds"],
        "metadata": row.user_metadata,
        "created_at": row.created_at,
    }
