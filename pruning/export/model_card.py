"""README of an export: how to load it, and all measurements. Called by :mod:`pruning.export.run`."""

from pruning.export.results import ExportEntry
from pruning.inference.pruned_model import PrunedModel

_LOADERS = {
    "compact": "torch and transformers",
    "csr": "torch and transformers, on a processor",
    "onnx": "onnxruntime; or any other ONNX runtime, on model.onnx itself",
    "onnx-int8": "onnxruntime; or any other ONNX runtime, on model.onnx itself",
    "semi-structured": "torch and transformers, on an NVIDIA GPU of compute capability 8.0 or above",
}


def text(made: ExportEntry, pruned: PrunedModel) -> str:
    """Markdown."""
    info = pruned.info
    return f"""# {info.base_model}, pruned to {info.task}: export `{made.format}`

The mask keeps {info.density:.2%} of the weights in the repeated layers. {_compacted(made)}

## Speed

{made.verdict[0].upper()}{made.verdict[1:]}.

{_table(made)}

Before: the dense masked model in PyTorch on the same machine and threads ({made.device}), calls of both in turn, medians.

## Agreement

On {made.rows} {"validation rows" if made.checked_on == "validation" else "rows of random tokens"}: \
{made.equal:.2%} of the predictions are the dense model's, logits differ by at most {made.max_difference:.2g}.

## How to use it

{_usage(made)}
"""


def _compacted(made: ExportEntry) -> str:
    if not made.compacted:
        return ""
    return "Neurons, dimensions and heads without effect were removed and their constants put into biases."


def _table(made: ExportEntry) -> str:
    rows = [f"| {one.batch} | {one.tokens} | {one.before_ms} | {one.after_ms} | {one.factor} |" for one in made.latency]
    return "\n".join(["| batch | tokens | before ms | after ms | factor |", "|---|---|---|---|---|", *rows])


def _usage(made: ExportEntry) -> str:
    return f"""```python
import espalier

model = espalier.load_export("{made.format}")  # needs {_LOADERS[made.format]}
model.labels, model.predict(["a text"])
```"""
