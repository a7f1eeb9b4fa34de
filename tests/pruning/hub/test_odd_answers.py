"""Malformed answers of a hub: any exception of the hub's client becomes an error with a code."""

import errno
import json

import pytest

from pruning.errors import PermanentError, PruningError, TemporaryError
from pruning.hub.models import hub_errors


@pytest.mark.parametrize(
    "fault",
    [
        json.JSONDecodeError("Expecting value", "<html>", 0),
        ValueError("Invalid IPv6 URL"),
        TypeError("'<' not supported"),
        KeyError("sha"),
        AttributeError("NoneType"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"),
        OSError("cut"),
    ],
)
def test_any_exception_of_the_client_is_named(fault: Exception) -> None:
    for kind in ("model", "dataset"):
        with pytest.raises(TemporaryError) as failure, hub_errors(kind, "org/toy"):
            raise fault
        assert failure.value.code == "hub_unreachable"
        assert type(fault).__name__ in failure.value.message


def test_a_full_disk_is_not_the_hubs_fault_and_named_errors_pass() -> None:
    with pytest.raises(TemporaryError) as failure, hub_errors("model", "org/toy"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert failure.value.code == "insufficient_storage"
    refusal: PruningError = PermanentError("no", code="model_weights_missing", param="model")
    with pytest.raises(PermanentError) as passed, hub_errors("model", "org/toy"):
        raise refusal
    assert passed.value is refusal
