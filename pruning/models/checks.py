"""Validation of model folders without torch: ``config.json``, headers of the weight files, label words of the tokenizer.

The API calls :func:`check_model_folder` before a job is accepted, for models in its models directory; the trainer calls it again
on the folder that it resolved (local, or downloaded from the hub) before it loads anything.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pruning.errors import PermanentError
from pruning.models.checkpoint_index import tensor_shapes
from pruning.models.class_names import match_classes
from pruning.models.encoder_tensors import embedding_names, is_tied, misshapen_tensors, missing_tensors
from pruning.models.folder_forms import check_form, file_names, require_unquantized, require_weights
from pruning.models.folder_values import caps_logits, check_config, check_tokenizer_files, special_tokens
from pruning.models.label_words import WordRules, check_label_words, highest_token_id, load_tokenizer
from pruning.spec.templates import Chunk, decoder_error, ends_with_mask, split_template, too_long_error
from pruning.spec.verbalizer import ClassWords, Pieces

SENTENCEPIECE = {"deberta-v2": "spm.model"}
"""SentencePiece file that suffices as a tokenizer, by model type."""
CLASSIFIERS = ("classifier.", "score.")
"""Prefixes of the last layer of a sequence classifier, in every model type."""


@dataclass(frozen=True)
class LmHead:
    """Names of the tensors of a language-model head in a checkpoint, for a model type."""

    transform: str
    """Prefix of the head's own tensors (dense layer and norm), without which the head would be random; "" for none."""
    decoder: str
    """Output embedding; usually tied to the input embedding and then not in the file."""
    decoder_only: bool = False


_ROBERTA_HEAD = LmHead("lm_head.dense.", "lm_head.decoder.weight")
MODEL_TYPES: dict[str, LmHead] = {
    "albert": LmHead("predictions.dense.", "predictions.decoder.weight"),
    "bert": LmHead("cls.predictions.transform.", "cls.predictions.decoder.weight"),
    "camembert": _ROBERTA_HEAD,
    "deberta-v2": LmHead("cls.predictions.transform.", "cls.predictions.decoder.weight"),  # v3 has the same type
    "distilbert": LmHead("vocab_transform.", "vocab_projector.weight"),
    "electra": LmHead("generator_predictions.", "generator_lm_head.weight"),
    "mobilebert": LmHead("cls.predictions.transform.", "cls.predictions.decoder.weight"),
    "modernbert": LmHead("head.dense.", "decoder.weight"),
    "mpnet": _ROBERTA_HEAD,
    "roberta": _ROBERTA_HEAD,
    "xlm-roberta": _ROBERTA_HEAD,
    **dict.fromkeys(
        ("gemma", "gemma2", "gpt2", "llama", "mistral", "phi", "qwen2", "qwen3"), LmHead("", "lm_head.weight", decoder_only=True)
    ),
    "gpt_neox": LmHead("", "embed_out.weight", decoder_only=True),
}


def check_model_folder(path: Path, label_words: Sequence[ClassWords], head: str, pieces: Pieces = "refuse") -> None:
    """Refuse a model folder that could not be trained with ``head`` and label words that may be several tokens as ``pieces`` says.

    Raises PermanentError with ``param`` ``model``, or as :func:`pruning.models.label_words.resolve_words` does. Without a
    ``tokenizer.json`` the words are left to the trainer's own tokenizer.
    """
    config = check_without_weights(path, file_names(path), path.name)
    lm_head = MODEL_TYPES[config["model_type"]]
    tensors = tensor_shapes(path)
    uses_words = head in ("label-words", "span")
    if uses_words:
        _check_head(config, lm_head, tensors)
    _check_tensors(config, lm_head, tensors, path.name, with_head=uses_words)
    if not (path / "tokenizer.json").is_file():
        return
    if uses_words:
        check_label_words(path / "tokenizer.json", label_words, WordRules(pieces, head, caps_logits(config)))
    rows = _embedding_rows(config, lm_head, tensors)
    if rows is not None:
        tokenizer = load_tokenizer(path / "tokenizer.json")
        added = sum(tokenizer.token_to_id(token) is None for token in special_tokens(path))
        require_rows_for_ids(highest_token_id(path / "tokenizer.json") + 1 + added, rows, path.name)


def check_template(path: Path, template: str, texts: int, max_length: int) -> None:
    """Refuse a template that the model cannot read, as far as its type and ``tokenizer.json`` show.

    Call :func:`check_model_folder` first. Raises PermanentError (``template_unsupported``, ``template_too_long``).
    """
    if MODEL_TYPES[read_model_type(path)].decoder_only and not ends_with_mask(template):
        raise decoder_error()
    if not (path / "tokenizer.json").is_file():
        return
    tokenizer = load_tokenizer(path / "tokenizer.json")
    # special tokens around the texts are left to the trainer, which counts them, too
    parts = [part for part in split_template(template) if isinstance(part, Chunk)]
    words = [text for part in parts for text in (part.before, part.behind) if text]
    fixed = sum(len(tokenizer.encode(text, add_special_tokens=False).ids) for text in words) + 1
    if fixed + texts > max_length:
        raise too_long_error(fixed, texts, max_length)


def check_without_weights(path: Path, files: Collection[str], name: str) -> dict[str, Any]:
    """The part of :func:`check_model_folder` that needs no weights; the configuration.

    ``files`` are the names of all files of the model ``name``, ``path`` is a folder with the small ones: for a model on the hub
    those that are downloaded first. Raises PermanentError with ``param`` ``model``.
    """
    check_form(files, name)
    config = read_config(path, name)
    _check_type(config, name)
    require_unquantized(config, name)
    check_config(config, name)
    check_tokenizer_files(path, name)
    require_weights(files, name)
    _check_vocabulary(files, name, config["model_type"])
    return config


def check_listing(files: Collection[str], config: dict[str, Any], name: str) -> None:
    """Refuse a hub model by its metadata on the hub: the names of its files and an extract of its configuration.

    Raises PermanentError with the codes of :func:`check_without_weights`.
    """
    check_form(files, name)
    if "model_type" in config:
        _check_type(config, name)
    require_unquantized(config, name)
    require_weights(files, name)


def check_class_names(
    path: Path,
    names: Sequence[str],
    count: int,
    *,
    given: Sequence[str] | None = None,
    param: str = "model",
    head: str = "classifier",
) -> None:
    """Refuse a fine-tuned classifier, the model or the teacher, whose classes are not the task's ``count`` ones called ``names``.

    ``given`` are names in place of the configuration's. A model without a trained classifier passes; its head will be new. Raises
    PermanentError (``labels_mismatch``); call :func:`check_model_folder` first.
    """
    if has_trained_classifier(path, head):
        theirs = given or class_names(read_config(path))
        match_classes(theirs, names, count, owner=f"the {param}", param=param)


def has_trained_classifier(path: Path, head: str = "classifier") -> bool:
    """Whether a folder's configuration and its weights both say that it classifies texts or, as a token-classifier, tokens."""
    wanted = "ForTokenClassification" if head == "token-classifier" else "ForSequenceClassification"
    named = any(wanted in str(name) for name in read_config(path).get("architectures") or ())
    return named and any(name.startswith(CLASSIFIERS) for name in tensor_shapes(path))


def class_names(config: dict[str, Any]) -> list[str]:
    """Names of a classifier's outputs, in order, as transformers reads them from ``config.json``."""
    labels = config.get("id2label")
    if isinstance(labels, dict):
        return [str(labels.get(str(i), f"LABEL_{i}")) for i in range(len(labels))]
    count = config.get("num_labels")
    return [f"LABEL_{i}" for i in range(count if type(count) is int and 0 < count < 10_000 else 2)]


def read_model_type(path: Path) -> str:
    """The model type that a folder's configuration names. Raises PermanentError as :func:`check_model_folder` does."""
    return str(read_config(path).get("model_type"))


def _model_error(code: str, message: str) -> PermanentError:
    return PermanentError(message, code=code, param="model")


def read_config(path: Path, name: str = "") -> dict[str, Any]:
    """``config.json`` of a folder, called ``name`` in messages. Raises PermanentError as :func:`check_model_folder` does."""
    name = name or path.name
    try:
        config = json.loads((path / "config.json").read_text("utf-8"))
    except FileNotFoundError as missing:
        raise _model_error(
            "model_config_missing", f"the folder of model {name!r} has no config.json; it must be a Hugging Face model folder"
        ) from missing
    except (ValueError, OSError, RecursionError) as fault:
        raise _model_error("model_config_invalid", f"config.json of model {name!r} cannot be read: {fault}") from fault
    if not isinstance(config, dict):
        raise _model_error("model_config_invalid", f"config.json of model {name!r} is not a JSON object")
    return config


def _check_type(config: dict[str, Any], name: str) -> None:
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in MODEL_TYPES:
        raise _model_error(
            "model_type_unsupported",
            f"model type {model_type!r} of {name!r} is not supported; use a model of type {', '.join(MODEL_TYPES)}",
        )


def _check_head(config: dict[str, Any], lm_head: LmHead, tensors: Iterable[str]) -> None:
    names = set(tensors)
    if lm_head.transform and not any(name.startswith(lm_head.transform) for name in names):
        if any(name.startswith("lm_predictions.") for name in names):  # DeBERTa's own, with legacy: false
            remedy = "its lm_predictions.* is another form of it, which is not cut down to words; set head to classifier"
        elif config["model_type"] == "electra":
            remedy = "use the generator, not the discriminator, or set head to classifier"
        else:
            remedy = "use the pretrained one, or set head to classifier"
        raise _model_error(
            "model_head_missing",
            f"the model has no masked-language-model head (no tensor {lm_head.transform}*), which the label words need; {remedy}",
        )
    if not is_tied(config) and lm_head.decoder not in names:
        raise _model_error(
            "model_head_missing",
            f"the model has no {lm_head.decoder}, which the label words need, and by its config.json it is not tied to the word "
            "embeddings; use the language model, or set head to classifier",
        )


def _check_tensors(
    config: dict[str, Any], lm_head: LmHead, tensors: dict[str, tuple[int, ...]], name: str, *, with_head: bool
) -> None:
    missing = missing_tensors(config, tensors, lm_head.decoder, with_head=with_head)
    if missing:
        raise _model_error(
            "model_weights_incomplete",
            f"the weights of model {name!r} are incomplete: {', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''} "
            f"({len(missing)} tensors); use a checkpoint that has them, pruning random weights is useless",
        )
    for tensor, shape, expected in misshapen_tensors(config, tensors, with_head=with_head):
        raise _model_error(
            "model_weights_incomplete",
            f"{tensor} of model {name!r} has the shape {list(shape)}, and by config.json it has {list(expected)}; "
            "store the checkpoint again",
        )


def _embedding_rows(config: dict[str, Any], lm_head: LmHead, tensors: dict[str, tuple[int, ...]]) -> int | None:
    names = embedding_names(config["model_type"], lm_head.decoder)
    return next((tensors[name][0] for name in names if tensors.get(name)), None)


def require_rows_for_ids(ids: int, rows: int, name: str) -> None:
    """Refuse a tokenizer with more ``ids`` than the embedding has ``rows``. Raises PermanentError (``tokenizer_mismatch``)."""
    if ids > rows:
        raise _model_error(
            "tokenizer_mismatch",
            f"the tokenizer of model {name!r} has {ids} token ids, its word embeddings have {rows} rows, so some texts cannot "
            "be read; store the tokenizer that belongs to these weights, or resize the embeddings: "
            f"model.resize_token_embeddings({ids})",
        )


def has_vocabulary(files: Collection[str]) -> bool:
    """Whether a model has a tokenizer that transformers reads without help."""
    return any(file in files for file in ("tokenizer.json", "vocab.txt", "vocab.json"))


def _check_vocabulary(files: Collection[str], name: str, model_type: str) -> None:
    if has_vocabulary(files) or SENTENCEPIECE.get(model_type) in files:
        return
    pieces = sorted(file for file in files if "/" not in file and file.endswith((".model", ".spm")))
    if pieces:
        raise _model_error(
            "tokenizer_missing",
            f"model {name!r} has {pieces[0]}, a SentencePiece file, and no tokenizer.json; convert it once where "
            "sentencepiece is installed: AutoTokenizer.from_pretrained(folder).save_pretrained(folder)",
        )
    raise _model_error(
        "tokenizer_missing",
        f"model {name!r} has no tokenizer.json, vocab.txt or vocab.json; store its tokenizer in the same folder",
    )
