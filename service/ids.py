"""Ids of rows: a prefix such as ``job_`` and a lower-case ULID, so that ids sort by creation time and cannot be guessed."""

import re
import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u


def new_job_id() -> str:
    """Id of a job: 48 bits of milliseconds and 80 random bits, 26 characters after the prefix."""
    return _new("job_")


def new_key_id() -> str:
    """Id of an API key; it names the key and does not reveal it."""
    return _new("key_")


def new_sweep_id() -> str:
    """Id of a sweep."""
    return _new("swp_")


def new_webhook_id() -> str:
    """Id of a webhook."""
    return _new("whk_")


def new_delivery_id() -> str:
    """Id of a message to a webhook: the ``webhook-id`` of every attempt."""
    return _new("msg_")


def _new(prefix: str) -> str:
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return prefix + "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def is_job_id(text: str) -> bool:
    """Whether ``text`` could have come from ``new_job_id``."""
    return is_id(text, "job_")


def is_id(text: str, prefix: str) -> bool:
    """Whether ``text`` is ``prefix`` and a ULID."""
    return re.fullmatch(f"{prefix}[{_ALPHABET}]{{26}}", text) is not None


def is_model_id(text: str) -> bool:
    """Whether ``text`` could have come from ``service.uploaded_models.model_id_for``."""
    return re.fullmatch("mdl_[0-9a-f]{32}", text) is not None


def is_mask_id(text: str) -> bool:
    """Whether ``text`` could have come from ``service.uploaded_masks.mask_id_for``."""
    return re.fullmatch("msk_[0-9a-f]{32}", text) is not None


def is_dataset_id(text: str) -> bool:
    """Whether ``text`` could have come from ``service.datasets.dataset_id_for``."""
    return re.fullmatch("ds_[0-9a-f]{32}", text) is not None
