"""Exemplars name the trace of a request, if it is recorded."""

import pytest

from service.monitoring.exemplars import current_exemplar

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(("flags", "is_recorded"), [("01", True), ("03", True), ("00", False)])
def test_only_recorded_traces_are_named(flags: str, is_recorded: bool) -> None:
    found = current_exemplar(f"00-{TRACE}-00f067aa0ba902b7-{flags}")
    assert found == ({"trace_id": TRACE} if is_recorded else None)


@pytest.mark.parametrize(
    "header", [None, "", "00", f"00-{'0' * 32}-00f067aa0ba902b7-01", f"00-{TRACE[:-1]}-00f067aa0ba902b7-01", "x" * 9000]
)
def test_what_is_no_trace_has_no_exemplar(header: str | None) -> None:
    assert current_exemplar(header) is None
