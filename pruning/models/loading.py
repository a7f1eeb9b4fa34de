"""Loading of models and tokenizers by name; the only module that builds transformers models.

Local folders come first, then the hub. Safetensors only, never remote code: the model type is checked against a fixed table
(:mod:`pruning.models.checks`) before transformers reads the folder. Called by training, exports and predictions.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from pruning.errors import PermanentError, PruningError
from pruning.events import EventSink, LogEvent, Phase, PhaseEvent
from pruning.hub.local import did_you_mean, find_folder, is_uploaded, require_folder
from pruning.hub.models import ModelFolder, download_model
from pruning.models.checks import (
    MODEL_TYPES,
    check_model_folder,
    check_without_weights,
    has_trained_classifier,
    has_vocabulary,
    require_rows_for_ids,
)
from pruning.models.completeness import require_complete
from pruning.models.folder_forms import file_names
from pruning.models.folder_values import is_dropout
from pruning.models.plain_modules import use_plain_modules
from pruning.models.quiet import quiet_transformers
from pruning.models.spm_tokenizer import load_spm_tokenizer
from pruning.sources import Sources
from pruning.spec.verbalizer import ClassWords, Pieces

_OFFSET_POSITIONS = ("camembert", "mpnet", "roberta", "xlm-roberta")


@dataclass(frozen=True)
class Readout:
    """Trained rows of the output embedding, in place of the label words' own."""

    weight: torch.Tensor
    """float32 [C, E], in class-id order."""
    bias: torch.Tensor | None
    """float32 [C]; None where the output embedding has none."""


@dataclass(frozen=True)
class LoadedModel:
    """A base model, dense, in float32, in evaluation mode."""

    model: Any
    tokenizer: Any
    folder: ModelFolder
    max_positions: int
    """Longest input in tokens."""
    decoder_only: bool
    new_parameters: frozenset[str]
    """Parameters that the checkpoint does not have and that a new head starts at random."""
    readout: Readout | None = None
    """What a run trained in place of the label words' rows; None: the vocabulary's own."""


def locate_model(
    name: str, revision: str | None, sources: Sources, on_progress: Callable[[str], None] = lambda _: None
) -> ModelFolder:
    """The folder of a model: under the models directory if it is there, else from the hub.

    ``on_progress`` is called with the progress of a download. Raises PermanentError or TemporaryError as
    :func:`pruning.hub.models.download_model` does.
    """
    folder = find_folder(sources.uploads_dir, name) or find_folder(sources.models_dir, name)
    if folder is None and is_uploaded(name):
        raise PermanentError(
            f"model {name!r} was uploaded to a service, and its files are not here; give the folder that was uploaded as the model",
            code="model_not_found",
            param="model",
        )
    if folder is None and sources.hub:
        try:
            return download_model(
                name,
                revision,
                sources.token,
                on_progress,
                sources.hub_model_bytes,
                check=lambda path, files: check_without_weights(path, files, name),
            )
        except PruningError as fault:
            if fault.code in ("model_not_found", "hub_unreachable"):
                fault.message += did_you_mean(sources.models_dir, name)
            raise
    if folder is None:
        folder = require_folder(sources.models_dir, name)
    if revision is not None:
        raise PermanentError(
            f"model {name!r} is a local folder, which has no revisions; leave revision out",
            code="revision_not_found",
            param="revision",
        )
    return ModelFolder(folder, None)


def find_model(name: str, revision: str | None, sources: Sources, emit: EventSink) -> ModelFolder:
    """:func:`locate_model`, with events about the source of the model. Raises PermanentError, TemporaryError."""
    local = (find_folder(sources.uploads_dir, name) or find_folder(sources.models_dir, name)) is not None

    def emit_phase(phase: Phase, message: str) -> None:
        emit(PhaseEvent(phase=phase, message=message))

    emit_phase("validating" if local else "downloading", f"model {name}")
    folder = locate_model(name, revision, sources, lambda much: emit_phase("downloading", f"model {name}: {much}"))
    if folder.notice:
        emit(LogEvent(level="warning", message=folder.notice))
    if not local:
        emit_phase("validating", f"commit {folder.revision}")
    return folder


def load_model(
    folder: ModelFolder,
    label_words: Sequence[ClassWords],
    head: str,
    *,
    pieces: Pieces = "refuse",
    classes: int | None = None,
    dropout: float | None = None,
    param: str = "model",
) -> LoadedModel:
    """Check a folder and load its model with the head asked for, and its tokenizer.

    ``pieces``: ``label_word_pieces`` of the spec. ``dropout`` replaces every dropout probability of the checkpoint's configuration.
    A classifier head that the checkpoint lacks is started at random, with ``classes`` outputs (default: one per label word). Raises
    PermanentError naming the file or field at fault.
    """
    path = folder.path
    check_model_folder(path, label_words, head, pieces)
    try:
        config = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        tokenizer = _load_tokenizer(path)
        _configure(config, tokenizer, dropout)
        decoder_only = MODEL_TYPES[config.model_type].decoder_only
        kind = transformers_class(head, decoder_only=decoder_only)
        if head in ("classifier", "token-classifier") and not has_trained_classifier(path, head):
            config.num_labels = len(label_words) if classes is None else classes
        with quiet_transformers():
            model, report = kind.from_pretrained(
                path,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        new = require_complete(model, report, path, head, decoder=MODEL_TYPES[config.model_type].decoder, param=param)
        use_plain_modules(model)
        ids = 1 + max(tokenizer.get_vocab().values())
        require_rows_for_ids(ids, model.get_input_embeddings().weight.shape[0], path.name)
        tokenizer.model_max_length = _longest(config, tokenizer)  # its own number is often another model's
        _compute_once(model.eval(), tokenizer)
    except (PermanentError, MemoryError):
        raise
    except Exception as fault:  # from any of its readers; each means: the files do not load
        reason = str(fault).strip().partition("\n\n")[0][:500]
        raise PermanentError(
            f"model {path.name!r} does not load: {type(fault).__name__}: {reason}", code="model_invalid", param=param
        ) from fault
    return LoadedModel(model, tokenizer, folder, tokenizer.model_max_length, decoder_only, new)


def _load_tokenizer(path: Path) -> Any:
    if not has_vocabulary(file_names(path)):  # as the checks allow for some model types
        return load_spm_tokenizer(path)
    return AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)


def _compute_once(model: Any, tokenizer: Any) -> None:
    """Run the model on two short texts: mismatched parts of a folder fail here and not in the middle of a run."""
    inputs = tokenizer(["a", "b c"], padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        model(**inputs)


def load_teacher(folder: ModelFolder, *, span: bool) -> LoadedModel:
    """A fine-tuned classifier or span model, whose every parameter must be in its checkpoint. Raises PermanentError."""
    loaded = load_model(folder, (), "teacher-span" if span else "classifier", param="teacher")
    if loaded.new_parameters:
        raise PermanentError(
            f"teacher {folder.path.name!r} has no trained head (no {min(loaded.new_parameters)}); "
            "give a model that was fine-tuned for the task",
            code="model_head_missing",
            param="teacher",
        )
    return loaded


def transformers_class(head: str, *, decoder_only: bool) -> Any:
    """The transformers class that has the outputs a head needs."""
    if head == "classifier":
        return AutoModelForSequenceClassification
    if head == "token-classifier":
        return AutoModelForTokenClassification
    if head == "teacher-span":
        return AutoModelForQuestionAnswering
    return AutoModelForCausalLM if decoder_only else AutoModelForMaskedLM


def _configure(config: Any, tokenizer: Any, dropout: float | None) -> None:
    if dropout is not None:
        for key, value in config.to_dict().items():
            if is_dropout(key) and isinstance(value, int | float) and not isinstance(value, bool):
                setattr(config, key, dropout)
    if tokenizer.pad_token_id is None:  # decoder-only models rarely have one; attention never reads it
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token_id is None:
        raise ValueError("its tokenizer has neither a padding token nor an end-of-text token to pad with")
    if MODEL_TYPES[config.model_type].decoder_only:
        tokenizer.mask_token = None  # by its absence a template's rows end where the word would follow
    tokenizer.padding_side = "right"
    if config.pad_token_id is None or MODEL_TYPES[config.model_type].decoder_only:
        # a decoder's classifier looks for the last token that is not padding, so it must be what batches are padded with; an
        # encoder's positions count from the id that it was trained with, and its attention masks padding
        config.pad_token_id = tokenizer.pad_token_id
    tokenizer.split_special_tokens = True
    tokenizer.init_kwargs["split_special_tokens"] = True  # so that it is stored in exports


def _longest(config: Any, tokenizer: Any) -> int:
    positions = int(getattr(config, "max_position_embeddings", tokenizer.model_max_length))
    if config.model_type in _OFFSET_POSITIONS:  # their positions start after the padding id
        positions -= config.pad_token_id + 1
    return min(positions, int(tokenizer.model_max_length))


def weights_digest(model: nn.Module, excluded: frozenset[str] = frozenset()) -> str:
    """sha-256 of a dense model's weights: name, shape and float32 bytes of each parameter, by name.

    Masks carry it, so that a mask is never put on other weights than those it was trained for. Compute it before
    linears are wrapped; ``excluded`` leaves out a new head, which is not part of the base.
    """
    total = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        if name not in excluded:
            total.update(f"{name}{list(parameter.shape)}".encode())
            total.update(parameter.detach().to(torch.float32).contiguous().cpu().numpy().data)
    return total.hexdigest()


def checkpoint_bytes(path: Path) -> int:
    """Size of a model folder's weight files."""
    return sum(file.stat().st_size for file in path.glob("*.safetensors"))
