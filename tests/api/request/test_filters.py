"""Metadata filter: exact pairs on both databases, with any characters in keys."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.api.conftest import BODY
from tests.api.problems import assert_problem

AWKWARD: dict[str, Any] = {"a.b": "1", 'say "hi"': "2", "it's": "3", "$": "4", "a": "{}", "ü[0]": "5", "x' OR 1=1 --": "6"}


def test_the_metadata_filter(client: TestClient) -> None:
    made = client.post("/v1/jobs", json=BODY | {"metadata": AWKWARD}).json()["id"]
    other = client.post("/v1/jobs", json=BODY | {"metadata": {"a": "1", "team": "nlp"}}).json()["id"]
    client.post("/v1/jobs", json=BODY)

    def found(**asked: str) -> list[str]:
        query = {f"metadata[{key}]": value for key, value in asked.items()}
        return [job["id"] for job in client.get("/v1/jobs", params=query).json()["data"]]

    for key, value in AWKWARD.items():
        assert found(**{key: value}) == [made], key
        assert found(**{key: "nothing"}) == []
    assert found(**AWKWARD) == [made]
    assert found(team="nlp", a="1") == [other]
    assert found(team="nlp", b="1") == found(**{"a.b": "1", "team": "nlp"}) == found(**{"*": "1"}) == []


@pytest.mark.parametrize("query", ["metadata=1", "metadata[]=1", "metadata[a=1", "metadata[a%00]=1", f"metadata[a]={'x' * 513}"])
def test_a_metadata_filter_that_cannot_be_read(strict_client: TestClient, query: str) -> None:
    fault = assert_problem(strict_client.get(f"/v1/jobs?{query}"), 422, "invalid_request")["errors"][0]
    assert fault["parameter"].startswith("metadata")
