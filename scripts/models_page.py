"""The page ``docs/reference/models.md``: which models can be pruned, and what the tests ran of each type.

Called by :mod:`scripts.generate_docs`; the table is that of ``tests/model_matrix.py``, from which the tests take their parameters.
"""

from collections.abc import Callable, Sequence

from pruning.spec.export_formats import COMPACT_TYPES, FORMATS
from pruning.spec.methods import METHODS
from tests.model_matrix import MATRIX, ModelRow

_TEXT = f"""# Models

A model is a Hugging Face folder or a model of the hub: `config.json`, `model.safetensors` (or shards and their index) and a
tokenizer, with one of the model types below. Weights in half precision are read as float32. Masks cover the linear layers inside
the repeated layers; embeddings, norms, biases and heads stay.

Refused at submission, with the remedy: PEFT adapters (merge them first), weights quantized by GPTQ, AWQ, bitsandbytes or others,
sentence-transformers folders whose model lies in a folder inside, weights as `.bin` or another pickle alone, other model types,
and files that do not fit each other.

## What was run

Every row is a model of two layers with random weights and the tokenizer named. All methods ({", ".join(METHODS)}) train it for a
few steps; the mask on fresh weights gives the logits of its training to the last bit, and every masked matrix gets a gradient,
which is that of the model in plain transformers. Exports are written, loaded again and compared. A dash: not offered for the type.

"""
_NOTES = """
`like x`: made of the same modules as the type x, whose file was compared in its place; every job compares its own exports with the
dense model and delivers none that differs. `onnx-int8` is made from `onnx`. `semi-structured` is 2:4 along the inputs of each
matrix, for every type. What a `stock` folder of each type is: [exports](exports.md#the-stock-folder).

## What differs by type

- **Classifiers of encoders** (`head: classifier`) read the first token's state, as transformers' classes do; `pooling: mean` gives
  their layers the mean of the states of the row's tokens instead, as
  [sentence-transformers' mean pooling](https://sbert.net/docs/package_reference/sentence_transformer/models.html). It is not taken
  from the model's folder: a spec is resolved before a model on the hub is seen. Where a folder's `modules.json` says mean and the
  spec says nothing, the log of the run says what is read. ModernBERT's class has both, and without `pooling` its configuration
  decides. A classifier that the checkpoint brings keeps the pooling it was trained with; decoders and other heads have none.
  Predictions, banks and exports follow the mask's `pooling`; a `stock` folder has the mean for ModernBERT alone, since no other
  class of transformers computes it, and is refused for the others: at submission, for models on the hub before training.
- **Decoders** (`gemma`, `gemma2`, `gpt2`, `gpt_neox`, `llama`, `mistral`, `phi`, `qwen2`, `qwen3`) are read at the last token of
  the text. Without a padding token the end-of-text token pads; without that one too, the model is refused. Padding goes to the
  right, also where the tokenizer's file has another side; GPT-2 would count padding on the left as positions.
- **GPT-2** stores its matrices as [in, out] (`Conv1D`). They are turned when the model is loaded, so masks, groups, density maps
  and 2:4 mean the same as elsewhere: rows are outputs, columns inputs, `shapes` in a mask is [out, in]. A stock folder has
  transformers' own form again. To apply a mask to plain transformers' GPT-2 by hand, transpose it. `attn.c_attn` holds query, key
  and value as one matrix; compaction takes it apart.
- **GPT-NeoX** (`query_key_value`) has query, key and value of each head next to each other, so its reports have no density by head.
- **MobileBERT**: the two-part output embedding becomes one matrix when it is loaded, and the embedding of the padding token zero,
  for the model reads the neighbours of each token and would give a padded text other logits. Label words are read from all of the
  states' width.
- **Gemma 2** caps attention scores and logits; both are computed as transformers does (eager attention).
- **XLM-RoBERTa, CamemBERT**: as RoBERTa, with SentencePiece; the folder needs a `tokenizer.json`.
"""


def models_page(table: Callable[[tuple[str, ...], Sequence[tuple[object, ...]]], str]) -> str:
    """Markdown; ``table`` makes one of a header and rows."""
    formats = [name for name in FORMATS if name not in ("onnx-int8", "semi-structured")]
    rows = [
        (f"`{row.label}`", row.tokenizer, "all", ", ".join(row.heads), *(_cell(row, name) for name in formats)) for row in MATRIX
    ]
    return _TEXT + table(("model type", "tokenizer", "methods", "heads", *(f"`{name}`" for name in formats)), rows) + _NOTES


def _cell(row: ModelRow, name: str) -> str:
    if name in row.exact:
        return "equal"
    offered = name != "compact" or row.model_type in COMPACT_TYPES
    return f"like `{row.like}`" if row.like and offered else "—"
