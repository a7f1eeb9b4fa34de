"""Table of what the tests run for each model type: toys, tokenizers, methods and exports. The page on models is made from it.

Tests take their parameters from here, so that the page says what was run and nothing else.
"""

from dataclasses import dataclass

from pruning.spec.export_formats import COMPACT_TYPES, Format
from tests import toy_architectures
from tests.toy_architectures import HEADLESS

ONNX_RUN = ("bert", "gemma2", "gpt2", "gpt_neox", "mistral", "mobilebert", "modernbert", "phi", "roberta")
"""Toys that are written as ONNX files: one of each structure, for its exporter takes seconds."""
_LIKE = {
    "albert": "bert",
    "camembert": "roberta",
    "deberta-v2": "bert",
    "deberta-v3": "bert",
    "distilbert": "bert",
    "electra": "bert",
    "gemma": "gemma2",
    "llama": "mistral",
    "minilm": "bert",
    "mpnet": "roberta",
    "qwen2": "mistral",
    "qwen3": "mistral",
    "xlm-roberta": "roberta",
}
_TOKENIZERS = {
    **dict.fromkeys(("mpnet", "roberta", "gpt_neox", "qwen2", "qwen3"), "byte-level BPE"),
    **dict.fromkeys(("gpt2", "llama", "phi"), "byte-level BPE, no padding token"),
    **dict.fromkeys(("camembert", "xlm-roberta"), "SentencePiece unigram"),
    **dict.fromkeys(("gemma", "gemma2"), "SentencePiece BPE"),
    "mistral": "SentencePiece BPE, no padding token",
}


@dataclass(frozen=True)
class ModelRow:
    """One toy."""

    shape: str
    model_type: str
    tokenizer: str
    heads: tuple[str, ...]
    """Heads that it is trained with: all methods with the first, ``classifier`` and ``span`` with one."""
    exact: tuple[Format, ...]
    """Exports that are loaded again and give the logits of the mask."""
    like: str | None
    """The toy whose structure it shares, where that one is written in its place in formats that are not in ``exact``."""

    @property
    def label(self) -> str:
        """Model type, and the toy where it is not called like its type."""
        return self.model_type if self.shape == self.model_type else f"{self.model_type} ({self.shape})"


def _row(shape: str) -> ModelRow:
    model_type = {"deberta-v3": "deberta-v2", "minilm": "bert"}.get(shape, shape)
    exact: list[Format] = ["stock"] if shape == HEADLESS else ["csr", "stock"]
    if shape in COMPACT_TYPES:
        exact.append("compact")
    if shape in ONNX_RUN:
        exact.append("onnx")
    heads = ("classifier",) if shape == HEADLESS else ("label-words", "classifier", "span")
    return ModelRow(shape, model_type, _TOKENIZERS.get(shape, "WordPiece"), heads, tuple(exact), _LIKE.get(shape))


MATRIX = [_row(shape) for shape in sorted(toy_architectures.ALL)]
