"""Tensor names and shapes of a safetensors checkpoint, in one file or in shards, read from the headers alone.

Called by :mod:`pruning.models.checks`, which never loads a weight.
"""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open

from pruning.errors import PermanentError
from pruning.models.folder_forms import INDEX, WEIGHTS


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the checkpoint's tensors by name, from the headers alone.

    Raises PermanentError (``model_weights_missing``, ``model_weights_corrupt``).
    """
    shards = _shards(path / INDEX) if (path / INDEX).is_file() else [WEIGHTS]
    shapes: dict[str, tuple[int, ...]] = {}
    for shard in shards:
        try:
            with safe_open(path / shard, framework="np") as weights:
                shapes.update((name, tuple(weights.get_slice(name).get_shape())) for name in weights.keys())  # noqa: SIM118 - no mapping
        except FileNotFoundError as missing:
            raise _error("model_weights_missing", f"{INDEX} of model {path.name!r} names {shard}, which is not there") from missing
        except (SafetensorError, OSError) as fault:
            raise _error(
                "model_weights_corrupt", f"{shard} of model {path.name!r} is not a complete safetensors file: {fault}"
            ) from fault
    return shapes


def _shards(index: Path) -> list[str]:
    try:
        shards = sorted({str(name) for name in json.loads(index.read_text("utf-8"))["weight_map"].values()})
    except (ValueError, OSError, LookupError, TypeError, AttributeError, RecursionError) as fault:
        raise _error("model_weights_corrupt", f"{INDEX} cannot be read: {fault!r}") from fault
    if not shards or any(Path(name).name != name for name in shards):
        raise _error("model_weights_corrupt", f"{INDEX} must name files of its own folder")
    return shards


def _error(code: str, message: str) -> PermanentError:
    return PermanentError(message, code=code, param="model")
