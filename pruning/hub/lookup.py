"""Question to the hub whether it has a model, answered within two seconds or not at all; without the hub's client.

Called by the API for a name that looks like a slip of a local one, before the job is accepted. Torch-free.
"""

import os
import threading
import urllib.error
import urllib.request
from http import HTTPStatus
from urllib.parse import quote

SECONDS = 2.0
_ABSENT = (HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND)
"""The hub answers 401 for what does not exist, so that private names cannot be guessed."""


def find_on_hub(name: str, seconds: float = SECONDS) -> bool | None:
    """Whether the hub has a public model ``name``; None where it does not say so within ``seconds``."""
    answers: list[bool | None] = []
    # a thread, for the resolution of the hub's name has no time limit of its own
    thread = threading.Thread(target=lambda: answers.append(_ask(name, seconds)), name="hub-lookup", daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else None


def _ask(name: str, seconds: float) -> bool | None:
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    if not endpoint.startswith(("http://", "https://")):
        return None
    try:
        # HTTP alone, see above
        with urllib.request.urlopen(f"{endpoint}/api/models/{quote(name)}", timeout=seconds):  # noqa: S310
            return True
    except urllib.error.HTTPError as answer:
        return False if answer.code in _ABSENT else None
    except (OSError, ValueError):
        return None
