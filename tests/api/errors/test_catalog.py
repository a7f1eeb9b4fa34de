"""The error catalog has exactly the codes that the packages use, and one status for each class of exceptions."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from starlette.exceptions import HTTPException

from api.errors import validation
from api.errors.catalog import PROBLEMS, find_response
from api.errors.exceptions import CodedError, UnavailableError
from api.errors.failures import FAILURES, FAULTS
from pruning.errors import PermanentError
from service.errors import InvalidKeyError, JobNotFoundError, NotFoundError

ROOT = Path(__file__).parents[3]
_CODE = re.compile(r"[a-z]+(_[a-z]+)+")
_TAKES_A_CODE = {
    "Failed",
    "NotPossibleError",
    "PydanticCustomError",
    "Rejection",
    "TooManyRequestsError",
    "UnauthorizedError",
    "UnavailableError",
    "_add_fault",
    "_error",
    "_invalid",
    "_invalid_filter",
    "_model_error",
    "_refused",
    "failed_entry",
    "make_problem",
    "problem_response",
}
"""Whose positional arguments may be codes; others are given one by ``code=``."""
_MADE = {f"{kind}_{fault}" for kind in ("model", "dataset") for fault in ("gated", "not_found")}
"""What pruning.hub.models and pruning.hub.local put together from a kind and a fault."""


def used(tree: ast.AST) -> Iterator[str]:
    """The codes that a file names: given by name or by position, by default, or under the name ``code``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            given = list(node.args) if name in _TAKES_A_CODE else []
            yield from codes(given)
            wanted = {"code", "kind"} if name == "spec_error" else {"code"}
            for value in (word.value for word in node.keywords if word.arg in wanted):
                yield from [str(value.value)] if isinstance(value, ast.Constant) else codes([value])
        elif isinstance(node, ast.arguments):
            names = zip(node.kwonlyargs, node.kw_defaults, strict=True)
            yield from codes(default for argument, default in names if argument.arg in ("code", "kind"))
        elif isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["code"]:
            yield from codes([node.value])


def codes(nodes: Iterable[ast.AST | None]) -> Iterator[str]:
    """The texts among ``nodes`` that look like a code, also in ``a if b else c``."""
    for node in nodes:
        match node:
            case ast.IfExp():
                yield from codes([node.body, node.orelse])
            case ast.Constant(value=str() as text) if _CODE.fullmatch(text):
                yield text


def test_the_catalog_has_exactly_the_codes_that_are_used() -> None:
    coded = (CodedError, PermanentError)
    found = {code for code, entry in PROBLEMS.items() if entry.exception and not issubclass(entry.exception, coded)} | _MADE
    found |= {*validation._NAMED_BY_PATH.values(), "metadata_filter"}
    for package in ("api", "service", "pruning", "worker"):
        for path in (ROOT / package).rglob("*.py"):
            found |= {*used(ast.parse(path.read_text()))}
    found -= {"int_type", "float_type"}  # pydantic's
    assert found == PROBLEMS.keys() | FAULTS.keys() | FAILURES.keys()


def test_all_codes_of_one_class_have_one_status() -> None:
    statuses: dict[type, set[int | None]] = {}
    for entry in (*PROBLEMS.values(), *FAILURES.values()):
        if entry.exception is not None and entry.exception is not HTTPException:
            statuses.setdefault(entry.exception, set()).add(entry.status)
    assert {error.__name__ for error, found in statuses.items() if len(found) > 1} == set()
    assert all(entry.status is not None for entry in PROBLEMS.values())
    assert {PROBLEMS[code].status for code in validation._NAMED_BY_PATH.values()} == {404}


def test_an_exception_has_the_code_of_its_nearest_class_unless_it_carries_one() -> None:
    class OtherNotFoundError(NotFoundError):
        pass

    assert find_response(JobNotFoundError("job_1")) == (404, "job_not_found")
    assert find_response(OtherNotFoundError()) == (404, "not_found")
    assert find_response(UnavailableError("out_of_memory", "later")) == (503, "out_of_memory")
    assert find_response(PermanentError("no", code="label_word_unknown")) == (422, "label_word_unknown")
    assert find_response(InvalidKeyError()) is None
    assert find_response(KeyError()) is None
