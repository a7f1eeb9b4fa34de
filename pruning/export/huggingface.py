"""Stock Hugging Face folder of a mask and its base, which plain ``transformers`` loads without this project.

The folder has the size and speed of the base (zeros are stored like any other number), and says so in its model card.
Called by :mod:`pruning.export.run` and ``espalier apply``.
"""

import json
from pathlib import Path

from pruning.formats import mask_file
from pruning.inference.masked_base import load_masked_base
from pruning.models.loading import LoadedModel
from pruning.sources import Sources


def write_folder(
    mask: str | Path, folder: str | Path, *, model: str | Path | None = None, sources: Sources | None = None,
    weights: str | Path | None = None,
) -> Path:  # fmt: skip
    """Write the masked model, its tokenizer and a model card to ``folder``, which must not exist yet.

    The arguments are those of :func:`pruning.inference.masked_base.load_masked_base`. Raises PermanentError or TemporaryError
    as that does, and FileExistsError.
    """
    target = Path(folder)
    loaded, info = load_masked_base(mask, model=model, sources=sources, weights=weights)
    target.mkdir(parents=True)
    loaded.model.save_pretrained(target)
    loaded.tokenizer.save_pretrained(target)
    (target / "README.md").write_text(model_card(loaded, info), encoding="utf-8")
    return target


def model_card(loaded: LoadedModel, info: mask_file.MaskInfo) -> str:
    """Front matter that the hub reads, then what a person should know."""
    metrics = "\n".join(f"- {name}: {value:.4f}" for name, value in info.metrics.items())
    commit = f" at commit `{info.base_revision}`" if info.base_revision else ""
    front = {
        "base_model": info.base_model,
        "library_name": "transformers",
        "tags": ["pruned", "espalier", info.spec.method],
    }
    return f"""---
{json.dumps(front)}
---

# {info.base_model}, pruned to {info.task}

The weights of `{info.base_model}`{commit} under a mask that keeps {info.density:.2%} of the {_total(info):,} weights in its
repeated layers; the others are zero. {_origin(info)} Size and speed are those of the dense model.

On the validation rows of {info.task}:

{metrics}

## How to use it

{_usage(loaded, info)}

Method `{info.spec.method}`, sparsity asked {info.spec.sparsity}; made with espalier {info.versions.get("espalier", "?")}.
"""


def _total(info: mask_file.MaskInfo) -> int:
    return sum(rows * columns for rows, columns in info.shapes.values())


def _origin(info: mask_file.MaskInfo) -> str:
    if info.weights_sha256 is None:
        return "No weight was changed: the mask was trained, the weights were not."
    return f"Method {info.spec.method} also trained the weights it kept."


def _usage(loaded: LoadedModel, info: mask_file.MaskInfo) -> str:
    name = type(loaded.model).__name__
    if info.head == "classifier":
        return f"`{name}`; classes {', '.join(info.label_words)} are its outputs {', '.join(map(str, info.columns))}."
    where = "every position" if info.head == "span" else "the last token" if loaded.decoder_only else "the first token"
    words = ", ".join(f"{word!r} (token {token})" for word, token in zip(info.label_words, info.label_ids, strict=True))
    return f"`{name}`: take the logits at {where} and of them the columns of the label words, in class order: {words}."
