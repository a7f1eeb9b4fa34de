"""The service does what its OpenAPI document says, for any requests in any order.

Few requests per operation, always the same; ``python -m tests.api.fuzz`` makes as many as you like.
"""

import logging
from pathlib import Path

import pytest

from tests.api.fuzz import Outcome, run
from tests.api.openapi.test_document import OPERATIONS

pytestmark = pytest.mark.slow

PROMISES = {
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "positive_data_acceptance",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
    "use_after_free",
    "created_resource_is_available",
}


def kept(folder: Path, *phases: str, examples: int) -> Outcome:
    outcome = run(folder, phases, examples=examples, seed=1)
    assert not outcome.failures, "\n\n".join(f"{what}\n{why}" for what, why in outcome.failures.items())
    return outcome


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


def test_values_at_the_edges(tmp_path: Path) -> None:
    outcome = kept(tmp_path, "examples", "coverage", examples=1)
    assert outcome.checks.keys() >= PROMISES
    assert len({operation for operation, _ in outcome.answers}) == len(OPERATIONS)


def test_random_values(tmp_path: Path) -> None:
    outcome = kept(tmp_path, "fuzzing", examples=4)
    assert len({operation for operation, _ in outcome.answers}) == len(OPERATIONS)


def test_random_orders(tmp_path: Path) -> None:
    outcome = kept(tmp_path, "stateful", examples=25)
    done = {operation for operation, status in outcome.answers if status < 300 and "{" in operation}
    assert len(done) >= 9, "the orders were too shallow: what one request makes, later ones must find"
