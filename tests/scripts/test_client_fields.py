"""The typed fields of the client are those of the API's request schemas."""

import inspect
from typing import Any, get_type_hints

import pytest
from pydantic import TypeAdapter

from api.routes.jobs import list_jobs
from api.schemas.job_request import ExportRequest, JobRequest
from api.schemas.sweeps import AXES
from espalier import AsyncClient, Client
from espalier.client import job_fields
from scripts.client_fields import FILE, _type, module

SCHEMA = JobRequest.model_json_schema()
EXAMPLES: list[dict[str, Any]] = SCHEMA["examples"]


def test_the_file_is_the_one_that_is_made() -> None:
    assert FILE.read_text(encoding="utf-8") == module(), "run: python -m scripts.client_fields"


def test_every_field_is_there_and_the_same_ones_are_required() -> None:
    schema, fields = SCHEMA, job_fields.JobFields
    assert fields.__required_keys__ | fields.__optional_keys__ == schema["properties"].keys()
    assert fields.__required_keys__ == set(schema["required"])
    shared = job_fields.SharedFields
    assert shared.__required_keys__ | shared.__optional_keys__ == schema["properties"].keys() - AXES.keys() - {"baseline"}
    filters = inspect.signature(list_jobs).parameters.keys() - {"services", "caller", "labels"}
    assert job_fields.JobFilters.__optional_keys__ == filters | {"metadata"}
    assert job_fields.ExportFields.__optional_keys__ == ExportRequest.model_fields.keys() - {"formats"}


def test_values_of_the_schema_have_the_types() -> None:
    hints = get_type_hints(job_fields.JobFields)
    objects = {"task", "webhook"}  # pydantic reads TypedDicts of Python 3.12 and later
    values = [(name, value) for example in EXAMPLES for name, value in example.items()]
    values += [(name, field["default"]) for name, field in SCHEMA["properties"].items() if "default" in field]
    for name, value in values:
        if name not in objects:
            TypeAdapter(hints[name]).validate_python(value)


@pytest.mark.parametrize("client", [Client, AsyncClient])
@pytest.mark.parametrize("name", ["submit", "dry_run"])
def test_the_signature_lists_the_fields_and_takes_others(client: type, name: str) -> None:
    parameters = inspect.signature(getattr(client, name)).parameters
    assert JobRequest.model_fields.keys() <= parameters.keys()
    assert parameters["model"].default is inspect.Parameter.empty
    assert parameters["sparsity"].annotation is float
    assert parameters["fields"].kind is inspect.Parameter.VAR_KEYWORD
    assert "sparsity" not in inspect.signature(client.sweep).parameters  # type: ignore[attr-defined]


def test_a_method_of_a_package_at_the_service_can_be_named() -> None:
    hints = get_type_hints(job_fields.JobFields), get_type_hints(job_fields.JobFilters)
    assert [each["method"] for each in hints] == [str, str | None]
    assert JobRequest.model_json_schema()["properties"]["method"]["enum"][: len(job_fields.METHODS)] == [*job_fields.METHODS]


def test_a_schema_without_a_type_is_named() -> None:
    with pytest.raises(ValueError, match="tuple"):
        _type({"type": "tuple"}, {})
