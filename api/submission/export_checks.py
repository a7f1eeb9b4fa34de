"""Export formats that the model and the pooling of a job rule out, before the job is accepted.

Called by ``api.submission.admission`` for the exports of a new job and by ``api.routes.exports`` for those of a finished one. What
cannot be known here, as the hub does not answer or the model is private, the trainer refuses before it trains.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pruning.errors import PermanentError
from pruning.hub.lookup import HubModel, find_on_hub
from pruning.spec.export_formats import Format, unsupported_by_model_type, unsupported_by_pattern, unsupported_by_pooling
from service.settings import Settings


def hub_model_type(formats: Sequence[Format], spec: Mapping[str, Any], settings: Settings) -> str | None:
    """Type of a hub model, asked of the hub where a format depends on it; None where none does, or the hub does not say.

    Takes two seconds at most. Call it outside transactions, and for models alone that are neither uploaded nor local.
    """
    if not settings.hub_enabled or spec.get("pooling") != "mean" or "stock" not in formats:
        return None
    known = find_on_hub(spec["model"], spec.get("revision"))
    model_type = known.config.get("model_type") if isinstance(known, HubModel) else None
    return model_type if isinstance(model_type, str) else None


def check_formats(formats: Sequence[Format], spec: Mapping[str, Any], model_type: str | None, param: str) -> None:
    """Refuse the first of ``formats`` that cannot be made; ``model_type`` None: not known. Raises PermanentError naming ``param``
    and its position."""
    misfit = unsupported_by_pattern(formats, spec.get("pattern", "unstructured"))
    if misfit is None and model_type is not None:
        misfit = unsupported_by_model_type(formats, model_type) or unsupported_by_pooling(formats, spec.get("pooling"), model_type)
    if misfit is not None:
        raise PermanentError(misfit.message, code="export_unsupported", param=f"{param}.{misfit.index}")
