"""Start of a run from a mask (``init_from``): the forms of the field, and checks of a mask before its file is read.

Torch-free: the API checks a job that a spec names with the same function as the trainer, which then compares weights and matrices
(:mod:`pruning.training.start_mask`).
"""

import re
from collections.abc import Mapping
from typing import Any

from pruning.errors import PermanentError
from pruning.spec.errors import spec_error
from pruning.spec.methods import METHODS

_FORMS = re.compile(r"job_[0-9a-hjkmnp-tv-z]{26}|msk_[0-9a-f]{32}|[0-9a-f]{64}")
_WORD_HEADS = ("label-words", "span")
"""Heads on the language model, whose weights are all in the digest of a mask's base; those of a classifier are not."""


def require_start_name(name: str) -> str:
    """The id of a job or of an uploaded mask, or a SHA-256. Raises PydanticCustomError for anything else."""
    if not _FORMS.fullmatch(name):
        raise spec_error(
            "init_from",
            "{name} is neither the id of a job (job_ and 26 letters and digits) nor that of an uploaded mask "
            "(msk_ and 32 digits), nor the SHA-256 of a mask file",
            kind="start_invalid",
            name=repr(name),
        )
    return name


def require_startable(method: str, prior: str | None, learning_rate: float, *, by_matrix: bool) -> None:
    """Refuse ``init_from`` together with fields that exclude it; ``by_matrix``: matrices have sparsities of their own.

    Raises PydanticCustomError.
    """
    if not METHODS[method].takes_prior:
        known = ", ".join(name for name, info in METHODS.items() if info.takes_prior)
        raise spec_error(
            "init_from",
            "method {method} has no scores that start from a mask; leave init_from out, or use one of {known}",
            method=method,
            known=known,
        )
    fault = (
        "a mask does not order the weights that it keeps, for which a prior is needed; set prior to wanda"
        if prior is None
        else "with a learning_rate of 0 scores do not move from the mask; raise it, or leave init_from out"
        if learning_rate == 0
        else "the ramp from a mask is one for all matrices; leave sparsity_by out, or init_from"
        if by_matrix
        else None
    )
    if fault is not None:
        raise spec_error("init_from", fault)


def is_file_digest(name: str) -> bool:
    """Whether ``init_from`` names a mask by the SHA-256 of its file, as outside a service."""
    return not name.startswith(("job_", "msk_"))


def check_start(wanted: Mapping[str, Any], start: Mapping[str, Any]) -> None:
    """Refuse a spec that cannot start from a mask that ``start`` has made; both are specs as JSON.

    Raises PermanentError (``pattern_unfit``, ``base_mismatch``) naming ``init_from``.
    """
    if wanted["pattern"] == "2:4" and start.get("pattern") != "2:4":
        raise PermanentError(
            "pattern 2:4 keeps two of every four weights, which the mask in init_from does not; start from a mask of pattern 2:4, "
            "or use pattern unstructured",
            code="pattern_unfit",
            param="init_from",
        )
    heads = wanted["head"], start.get("head", wanted["head"])
    if len({head in _WORD_HEADS for head in heads}) > 1:
        raise PermanentError(
            "the mask in init_from was made with head {}, and a model with head {} has other weights; set head to {}, or leave "
            "init_from out".format(heads[1], heads[0], " or ".join(_WORD_HEADS) if heads[1] in _WORD_HEADS else heads[1]),
            code="base_mismatch",
            param="init_from",
        )
