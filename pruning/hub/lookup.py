"""Lookup of a model on the hub, with the names of its files: within two seconds or not at all, and without the hub's client.

Called by the API for a name that is close to a local one, before the job is accepted. Torch-free.
"""

import json
import os
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from typing import Any, Literal
from urllib.parse import quote

SECONDS = 2.0
_ABSENT = (HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND)
"""The hub answers 401 for what does not exist, so that private names cannot be guessed."""


_MOST_BYTES = 4 * 1024**2


@dataclass(frozen=True)
class HubModel:
    """The hub's metadata of a model, read before anything is downloaded."""

    files: frozenset[str]
    config: dict[str, Any]
    """The hub's extract of ``config.json``: ``model_type``, ``quantization_config`` and others; empty where it has none."""


Answer = HubModel | Literal[False] | None


def find_on_hub(name: str, revision: str | None = None, seconds: float = SECONDS) -> Answer:
    """A public model of the hub; False where there is none, None where the hub does not answer within ``seconds``."""
    answers: list[Answer] = []
    # a thread, for the resolution of the hub's name has no time limit of its own
    thread = threading.Thread(target=lambda: answers.append(_ask(name, revision, seconds)), name="hub-lookup", daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else None


def _ask(name: str, revision: str | None, seconds: float) -> Answer:
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    if not endpoint.startswith(("http://", "https://")):
        return None
    commit = "" if revision is None else f"/revision/{quote(revision, safe='')}"
    try:
        # HTTP alone, see above
        with urllib.request.urlopen(f"{endpoint}/api/models/{quote(name)}{commit}", timeout=seconds) as answer:  # noqa: S310
            about = json.loads(answer.read(_MOST_BYTES))
            config = about.get("config")
            files = frozenset(str(file["rfilename"]) for file in about["siblings"])
            return HubModel(files, config if isinstance(config, dict) else {})
    except urllib.error.HTTPError as answer:
        return False if answer.code in _ABSENT else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, HTTPException):  # no response of a hub
        return None
