"""The commands about webhooks against a real service."""

import json

import pytest

from tests.espalier.cli.conftest import Run


@pytest.mark.slow
def test_webhooks(espalier: Run) -> None:
    secret = espalier("webhooks", "create", "http://127.0.0.1:9999/x", "--event", "job.failed").strip()
    assert secret.startswith("whsec_")
    (made,) = json.loads(espalier("webhooks", "list", "--json"))
    assert (made["events"], made["secret"]) == (["job.failed"], None)
    hook = made["id"]
    assert espalier("webhooks", "disable", hook) == f"{hook} disabled\n"
    assert "disabled: requested" in espalier("webhooks", "list")
    assert espalier("webhooks", "enable", hook) == f"{hook} enabled\n"
    assert espalier("webhooks", "rotate", hook).strip() not in ("", secret)
    assert json.loads(espalier("webhooks", "deliveries", hook, "--json")) == []
    sent = espalier("webhooks", "test", hook).split()[0]
    (delivery,) = json.loads(espalier("webhooks", "deliveries", hook, "--json"))
    assert (delivery["id"], delivery["type"], delivery["job_id"]) == (sent, "webhook.test", None)
    espalier("webhooks", "delete", hook)
