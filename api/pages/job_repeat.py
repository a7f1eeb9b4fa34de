"""Repetition of a job: its spec next to the defaults, and commands that submit it again (curl, Python, command line).

Called by ``api.pages.job``. Of a spec only what differs from the defaults is repeated, if that gives the same spec again.
"""

import json
import shlex
from dataclasses import dataclass
from itertools import chain
from typing import Any

from pydantic import ValidationError

from api.schemas.jobs import EvaluatedRows, Job
from pruning.spec.custom_task import CustomTask
from pruning.spec.schema import PruningSpec

_FIRST = ("model", "task")
_LEADING = ("preset", "method", "max_steps")
"""Fields that many defaults follow."""
_BESIDE = {"metadata": {}, "priority": 0, "max_duration": None, "exports": []}
"""Fields of a job outside its spec, with their defaults."""

_TASK_DEFAULTS = {name: field.default for name, field in CustomTask.model_fields.items() if not field.is_required()}


@dataclass(frozen=True)
class SpecField:
    """A field of a resolved spec."""

    name: str
    value: str
    description: str
    is_default: bool


@dataclass(frozen=True)
class Repetition:
    """Commands that submit a job like this one."""

    body: dict[str, Any]
    """JSON body of the request."""
    curl: str
    python: str
    command_line: str


def spec_fields(job: Job) -> list[SpecField]:
    """Every field of the spec, in order."""
    changed = _changed(job.spec)
    fields = PruningSpec.model_fields
    return [
        SpecField(
            name=name,
            value=value if isinstance(value, str) else json.dumps(value, ensure_ascii=False),
            description=(fields[name].description or "") if name in fields else "",
            is_default=name not in changed and name not in _FIRST,
        )
        for name, value in job.spec.items()
    ]


def repetition(job: Job, url: str, *, keys_required: bool) -> Repetition:
    """``url``: base URL of the service. API keys are named by their variable."""
    body, path = _body(job), "/v1/jobs"
    if job.export_of is not None:
        body, path = {"formats": job.exports}, f"/v1/jobs/{job.export_of}/exports"
    elif job.evaluation is not None:
        body, path = _rows_of(job.evaluation), f"/v1/jobs/{job.evaluation_of}/evaluations"
    header = ' -H "Authorization: Bearer $ESPALIER_API_KEY"' if keys_required else ""
    curl = (
        f"curl -s {shlex.quote(url + path)}{header} -H 'Content-Type: application/json' "
        f"-d {shlex.quote(json.dumps(body, ensure_ascii=False))}"
    )
    if job.export_of is not None:
        submitted = f"client.export({job.export_of!r}, {job.exports!r})"
    elif job.evaluation is not None:
        given = (_argument(name, value) for name, value in body.items())
        submitted = f"client.evaluate({', '.join((repr(job.evaluation_of), *given))})"
    else:
        submitted = f"client.submit({', '.join(_argument(name, value) for name, value in body.items())})"
    key = ', os.environ["ESPALIER_API_KEY"]' if keys_required else ""
    imports = "import os\n\n" if keys_required else ""
    python = f"{imports}from espalier import Client\n\nwith Client({url!r}{key}) as client:\n    job = client.wait({submitted})"
    return Repetition(body, curl, python, _command_line(job, body, url))


def _rows_of(evaluation: EvaluatedRows) -> dict[str, Any]:
    """The request that gives the evaluation again."""
    return {name: value for name, value in evaluation.model_dump().items() if value not in (None, False)}


def _argument(name: str, value: Any) -> str:
    return f"{name}={value!r}"


def _command_line(job: Job, body: dict[str, Any], url: str) -> str:
    if job.export_of is not None:
        words = ["espalier", "exports", job.export_of, *(word for name in job.exports for word in ("--to", name))]
        return shlex.join([*words, "--url", url])
    if job.evaluation_of is not None:
        options = ([f"--{name}"] if value is True else [f"--{name}", str(value)] for name, value in body.items())
        return shlex.join(["espalier", "evaluate", job.evaluation_of, *chain(*options), "--url", url])
    words = ["espalier", "submit", str(body["model"]), _word(body["task"])]
    for name in ("sparsity", "method"):
        if name in body:
            words += [f"--{name}", _word(body[name])]
    for name, value in body.items():
        if name not in (*_FIRST, "sparsity", "method"):
            words += ["--set", f"{name}={_word(value)}"]
    return shlex.join([*words, "--url", url])


def _word(value: Any) -> str:
    """Value in the syntax of the command line: JSON, or a text that is not JSON."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except ValueError:
            return value
    return json.dumps(value, ensure_ascii=False)


def _body(job: Job) -> dict[str, Any]:
    """The shortest request that gives the job's spec."""
    spec = job.spec
    least = {name: spec[name] for name in (*_FIRST, *_changed(spec)) if name in spec}
    if isinstance(least["task"], dict):
        least["task"] = {name: value for name, value in least["task"].items() if value != _TASK_DEFAULTS.get(name)}
    if _resolved(least) != spec:
        least = dict(spec)
    others = {name: getattr(job, name) for name, default in _BESIDE.items() if getattr(job, name) != default}
    return {**least, **others}


def _changed(spec: dict[str, Any]) -> list[str]:
    """Fields that are not as they would be by default, given those that defaults follow; all, where that cannot be known."""
    plain = _resolved({name: spec.get(name) for name in _FIRST})
    if plain is None:
        return [name for name in spec if name not in _FIRST]
    leading = [name for name in _LEADING if spec.get(name) != plain.get(name)]
    given = _resolved({name: spec.get(name) for name in (*_FIRST, *leading)}) or plain
    return leading + [name for name in spec if name not in (*_FIRST, *leading) and spec[name] != given.get(name)]


def _resolved(given: dict[str, Any]) -> dict[str, Any] | None:
    """The resolved spec of ``given``; None where this version refuses it."""
    try:
        return PruningSpec.model_validate(given).model_dump(mode="json")
    except ValidationError:
        return None
