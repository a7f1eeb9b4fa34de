"""The signature check of the page on webhooks, against what the service sends and the standard's own library signs."""

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from service.webhooks.subscriptions import new_secret
from worker.webhooks.delivery import signed_headers

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "webhooks.md"
BODY = '{"type":"job.succeeded"}'


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    """What the page's example defines."""
    (block,) = [each for each in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if "hmac" in each]
    defined: dict[str, Any] = {}
    exec(block, defined)
    return defined


def test_it_accepts_what_is_signed_and_nothing_else(shown: dict[str, Any]) -> None:
    check, secret, now = shown["is_from_espalier"], new_secret(), int(time.time())
    headers = signed_headers([new_secret(), secret], "msg_1", now, BODY)
    assert check(secret, headers, BODY.encode())
    theirs = Webhook(secret).sign("msg_1", datetime.fromtimestamp(now, UTC), BODY)
    assert check(secret, headers | {"webhook-signature": theirs}, BODY.encode())
    assert not check(secret, headers, BODY.replace("succeeded", "failed").encode())
    assert not check(new_secret(), headers, BODY.encode())
    assert not check(secret, headers | {"webhook-id": "msg_2"}, BODY.encode())
    assert not check(secret, signed_headers([secret], "msg_1", now - 301, BODY), BODY.encode())
