"""Model folders, looked at without torch: what can be told from ``config.json``, the weights' header and the tokenizer.

The API calls :func:`check_folder` before a job is accepted, where the model lies in its models directory; the trainer
calls it again on the folder it resolved (local, or downloaded from the hub) before it loads anything.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer

from pruning.errors import PermanentError

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt", "*.h5", "*.msgpack")


@dataclass(frozen=True)
class LanguageModelHead:
    """Where a model type keeps its language-model head in a checkpoint."""

    transform: str
    """Prefix of the head's own tensors (dense layer and norm), without which the head would be random; "" for none."""
    decoder: str
    """Output embedding; usually tied to the input embedding and then not in the file."""
    decoder_only: bool = False


MODEL_TYPES: dict[str, LanguageModelHead] = {
    "albert": LanguageModelHead("predictions.dense.", "predictions.decoder.weight"),
    "bert": LanguageModelHead("cls.predictions.transform.", "cls.predictions.decoder.weight"),
    "deberta-v2": LanguageModelHead(
        "cls.predictions.transform.", "cls.predictions.decoder.weight"
    ),  # v3 has the same type
    "distilbert": LanguageModelHead("vocab_transform.", "vocab_projector.weight"),
    "electra": LanguageModelHead("generator_predictions.", "generator_lm_head.weight"),
    "modernbert": LanguageModelHead("head.dense.", "decoder.weight"),
    "mpnet": LanguageModelHead("lm_head.dense.", "lm_head.decoder.weight"),
    "roberta": LanguageModelHead("lm_head.dense.", "lm_head.decoder.weight"),
    "llama": LanguageModelHead("", "lm_head.weight", decoder_only=True),
    "qwen2": LanguageModelHead("", "lm_head.weight", decoder_only=True),
    "qwen3": LanguageModelHead("", "lm_head.weight", decoder_only=True),
}


def find_folder(directory: Path | None, name: str) -> Path | None:
    """The folder called ``name`` under ``directory``; None when there is no such folder, or no directory.

    ``name`` may have one slash (organisation/name). It cannot leave ``directory``; a symbolic link that an administrator
    put there may, which is why the comparison does not follow links.
    """
    if directory is None:
        return None
    root = os.path.abspath(directory)
    folder = os.path.abspath(os.path.join(root, name))
    inside = folder.startswith(root.rstrip(os.sep) + os.sep)
    return Path(folder) if inside and os.path.isdir(folder) else None


def require_folder(directory: Path | None, name: str, *, kind: str = "model", param: str = "model") -> Path:
    """:func:`find_folder`, where the hub is not to be asked.

    Raises PermanentError (``model_not_found``, ``dataset_not_found``) that names a few of the folders there are.
    """
    folder = find_folder(directory, name)
    if folder is not None:
        return folder
    if directory is None:
        where = f"no {kind}s directory is configured"
    else:
        names = sorted(entry.name for entry in directory.iterdir() if entry.is_dir()) if directory.is_dir() else []
        listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        where = f"the {kind}s directory has {listed}" if names else f"the {kind}s directory is empty"
    raise PermanentError(
        f"there is no {kind} {name!r}: {where}, and the hub is disabled; add the folder or use another name",
        code=f"{kind}_not_found",
        param=param,
    )


def check_model_folder(path: Path, label_words: Sequence[str], head: str) -> None:
    """Refuse a model folder that could not be trained with ``head``.

    Raises PermanentError with ``param`` ``model``, or ``label_words.<index>`` (codes ``label_word_unknown``,
    ``label_words_collide``). Without a ``tokenizer.json`` the words are left to the trainer's own tokenizer.
    """
    config = _config(path)
    shape = _shape(config)
    tensors = _tensor_names(path)
    uses_words = head in ("label-words", "span")
    if uses_words:
        _check_head(config, shape, tensors)
    if not (path / "tokenizer.json").is_file():
        _check_vocabulary(path)
    elif uses_words:
        _check_words(path / "tokenizer.json", label_words)


def read_model_type(path: Path) -> str:
    """The model type that a folder's configuration names. Raises PermanentError as :func:`check_folder` does."""
    return str(_config(path).get("model_type"))


def _refused(code: str, message: str) -> PermanentError:
    return PermanentError(message, code=code, param="model")


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads((path / "config.json").read_text("utf-8"))
    except FileNotFoundError as missing:
        raise _refused(
            "model_config_missing",
            f"the folder of model {path.name!r} has no config.json; it must be a Hugging Face model folder",
        ) from missing
    except (ValueError, OSError) as fault:
        raise _refused("model_config_invalid", f"config.json of model {path.name!r} cannot be read: {fault}") from fault
    if not isinstance(config, dict):
        raise _refused("model_config_invalid", f"config.json of model {path.name!r} is not a JSON object")
    return config


def _shape(config: dict[str, Any]) -> LanguageModelHead:
    model_type = config.get("model_type")
    shape = MODEL_TYPES.get(model_type) if isinstance(model_type, str) else None
    if shape is None:
        raise _refused(
            "model_type_unsupported",
            f"model type {model_type!r} is not supported; use a model of type {', '.join(MODEL_TYPES)}",
        )
    return shape


def _tensor_names(path: Path) -> set[str]:
    """Names of the checkpoint's tensors, from the headers alone."""
    if (path / INDEX).is_file():
        shards = _shards(path / INDEX)
    elif (path / WEIGHTS).is_file():
        shards = [WEIGHTS]
    else:
        raise _refused("model_weights_missing", _weights_remedy(path))
    names: set[str] = set()
    for shard in shards:
        try:
            with safe_open(path / shard, framework="np") as weights:
                names.update(weights.keys())
        except FileNotFoundError as missing:
            raise _refused(
                "model_weights_missing", f"{INDEX} of model {path.name!r} names {shard}, which is not there"
            ) from missing
        except (SafetensorError, OSError) as fault:
            raise _refused(
                "model_weights_corrupt", f"{shard} of model {path.name!r} is not a complete safetensors file: {fault}"
            ) from fault
    return names


def _shards(index: Path) -> list[str]:
    try:
        shards = sorted({str(name) for name in json.loads(index.read_text("utf-8"))["weight_map"].values()})
    except (ValueError, OSError, LookupError, TypeError, AttributeError) as fault:
        raise _refused("model_weights_corrupt", f"{INDEX} cannot be read: {fault!r}") from fault
    if not shards or any(Path(name).name != name for name in shards):
        raise _refused("model_weights_corrupt", f"{INDEX} must name files of its own folder")
    return shards


def _weights_remedy(path: Path) -> str:
    pickled = sorted(found.name for pattern in _PICKLES for found in path.glob(pattern))
    if pickled:
        return (
            f"model {path.name!r} has {pickled[0]}, which could run code when loaded, and no {WEIGHTS}; load it once where "
            "you trust it and store it again: AutoModelForMaskedLM.from_pretrained(folder).save_pretrained(folder)"
        )
    others = sorted(found.name for found in path.glob("*.safetensors"))
    if others:
        return f"model {path.name!r} has {others[0]} but neither {WEIGHTS} nor {INDEX}; rename it or add the index"
    return f"model {path.name!r} has no {WEIGHTS}; put the model's weights there, in safetensors format"


def _check_head(config: dict[str, Any], shape: LanguageModelHead, tensors: Iterable[str]) -> None:
    names = set(tensors)
    if shape.transform and not any(name.startswith(shape.transform) for name in names):
        remedy = (
            "use the generator, not the discriminator"
            if config["model_type"] == "electra"
            else "use the pretrained one"
        )
        raise _refused(
            "model_head_missing",
            f"the model has no masked-language-model head (no tensor {shape.transform}*), which the label words need; {remedy}",
        )
    if config.get("tie_word_embeddings") is False and shape.decoder not in names:
        raise _refused(
            "model_head_missing",
            f"the model has no {shape.decoder}, and its config.json says that it is not tied to the word embeddings",
        )


def _check_vocabulary(path: Path) -> None:
    if not any((path / name).is_file() for name in ("vocab.txt", "vocab.json")):
        raise _refused(
            "tokenizer_missing",
            f"model {path.name!r} has no tokenizer.json, vocab.txt or vocab.json; store its tokenizer in the same folder",
        )


def _check_words(file: Path, words: Sequence[str]) -> None:
    seen: dict[int, str] = {}
    tokenizer = load_tokenizer(file)
    unknown = getattr(tokenizer.model, "unk_token", None)
    for index, word in enumerate(words):
        found = tokenizer.encode(f" {word}", add_special_tokens=False)
        if len(found.ids) != 1 or found.tokens[0] == unknown:
            pieces = (
                "unknown to it" if unknown in found.tokens else f"{len(found.ids)} tokens: {' '.join(found.tokens)}"
            )
            raise PermanentError(
                f"label word {word!r} must be a single token of the model's tokenizer, and is {pieces}; use another word",
                code="label_word_unknown",
                param=f"label_words.{index}",
            )
        if found.ids[0] in seen:
            raise PermanentError(
                f"label words {seen[found.ids[0]]!r} and {word!r} are the same token of the model's tokenizer, "
                "so two classes could not be told apart; use another word",
                code="label_words_collide",
                param=f"label_words.{index}",
            )
        seen[found.ids[0]] = word


def load_tokenizer(file: Path) -> Tokenizer:
    """The fast tokenizer stored in ``file``, without padding or truncation. Raises PermanentError when it cannot be read."""
    about = file.stat()
    return _load_tokenizer(str(file), about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=4)  # reading 30 000 tokens takes 30 ms, and a sweep posts the same model many times
def _load_tokenizer(file: str, _modified: int, _bytes: int) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(file)
    except Exception as fault:  # the library raises nothing more specific
        raise _refused("tokenizer_invalid", f"{os.path.basename(file)} cannot be read: {fault}") from fault
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
