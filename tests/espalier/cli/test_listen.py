"""The address that a service may listen on."""

import pytest

from espalier.cli.listen import refusal


@pytest.mark.parametrize(
    ("host", "keys_required", "words"),
    [
        ("127.0.0.1", False, None),
        ("::1", False, None),
        ("localhost", False, None),
        ("0.0.0.0", True, None),
        ("0.0.0.0", False, "ESPALIER_REQUIRE_KEYS=false"),
        ("192.0.2.1", False, "ESPALIER_REQUIRE_KEYS=false"),
        ("example.org", True, "must be an address"),
    ],
)
def test_addresses_that_may_be_listened_on(host: str, keys_required: bool, words: str | None) -> None:
    reason = refusal(host, keys_required=keys_required)
    assert reason is None if words is None else words in str(reason)
