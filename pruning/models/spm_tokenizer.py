"""Tokenizers from a SentencePiece file alone, for DeBERTa checkpoints stored with ``spm.model`` and no ``tokenizer.json``.

transformers 5 reads such files, too, but without their map of characters (NFKC and more), so that ligatures or full-width letters
become unknown. Its converter keeps the map; with it every text has the ids that the sentencepiece library gives. The converter
needs protobuf. Called by :mod:`pruning.models.loading`.
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import DebertaV2Converter

from pruning.errors import PermanentError
from pruning.models.checks import SENTENCEPIECE

_SPECIAL = {
    "bos_token": "[CLS]",
    "eos_token": "[SEP]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "mask_token": "[MASK]",
}


def load_spm_tokenizer(path: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a DeBERTa folder. Raises PermanentError (``tokenizer_invalid``) for a file that is not such a vocabulary."""
    about = _read(path / "tokenizer_config.json")
    pieces: dict[str, int] = {}
    file = path / SENTENCEPIECE["deberta-v2"]
    original = SimpleNamespace(
        vocab_file=str(file),
        do_lower_case=about.get("do_lower_case", False),
        split_by_punct=about.get("split_by_punct", False),
        add_prefix_space=True,
        convert_tokens_to_ids=pieces.__getitem__,
    )
    try:
        converter = DebertaV2Converter(original)  # type: ignore[no-untyped-call]
        pieces |= {piece.piece: number for number, piece in enumerate(converter.proto.pieces)}
        backend = converter.converted()
    except ImportError as missing:
        raise _invalid(f"the tokenizer of model {path.name!r} is read with protobuf: pip install protobuf") from missing
    except Exception as fault:  # of protobuf's parser, of the library of tokenizers; a piece that is missing
        raise _invalid(f"{file.name} of model {path.name!r} is not a DeBERTa vocabulary: {fault!r}") from fault
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=backend,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        model_max_length=about.get("model_max_length") or int(1e30),
        **_SPECIAL,
    )


def _read(file: Path) -> dict[str, Any]:
    """JSON object of a file that :func:`pruning.models.folder_values.check_tokenizer_files` has accepted."""
    return dict(json.loads(file.read_text("utf-8"))) if file.is_file() else {}


def _invalid(message: str) -> PermanentError:
    return PermanentError(message, code="tokenizer_invalid", param="model")
