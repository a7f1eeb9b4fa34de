"""The model card of a stock folder: front matter that the hub reads, what the model is, and code that runs as it stands.

Called by :mod:`pruning.export.huggingface`.
"""

import json
import re
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from huggingface_hub.repocard import metadata_load

from pruning.export.stock_model import StockModel, class_names
from pruning.formats.mask_file import MaskInfo

_METRICS = {"matthews": "matthews_correlation", "pearson": "pearsonr", "spearman": "spearmanr"}
"""Our names → the hub's, where they differ."""
_LONGEST_CARD = 2**20
_PIPELINES = {"span": "question-answering", "token-classification": "token-classification"}
"""Names of transformers' pipelines, which the hub has for tasks as well."""
_IN_BRIEF = {"classification": ("a film to remember", "and a second text"), "span": ("Who wrote it?", "Ann Lee wrote it.")}


def text(stock: StockModel, folder: str) -> str:
    """Markdown; ``folder`` is the name that the code in it loads."""
    info = stock.info
    commit = f" at commit `{info.base_revision}`" if info.base_revision else ""
    title = f"{info.base_model} pruned for {info.task}"
    metrics = "\n".join(f"- {name}: {value:.4f}" for name, value in info.metrics.items())
    return f"""---
{_front(stock, title)}
---

# {title}

The weights of `{info.base_model}`{commit} under a mask that keeps {info.density:.2%} of the {_total(info):,} weights in its
repeated layers; the others are zero. {_origin(info)} Size and speed are those of the dense model: zeros are stored and multiplied
too.

On the validation rows of {info.task}:

{metrics}

## How to use it

{_about(stock)}

```python
{_code(stock, folder)}
```

Method `{info.spec.method}`, sparsity asked {_asked(info)}; made with espalier {info.versions.get("espalier", "?")}.
"""


def _asked(info: MaskInfo) -> str:
    """Over all, and of single matrices."""
    single = ", ".join(f"{own:g} of `{pattern}`" for pattern, own in info.spec.sparsity_by.items())
    return f"{info.spec.sparsity}" + (f" over all, and {single}" if single else "")


def _front(stock: StockModel, title: str) -> str:
    info = stock.info
    licence, origin = _licence_and_origin(stock.base)
    task = info.spec.task_info
    split, *others = task.validation_splits
    kind = _PIPELINES.get(info.kind, "text-classification")
    results = []
    for name, value in info.metrics.items():
        other = next((each for each in others if name.endswith("_" + each.removeprefix("validation_"))), None)
        plain = name if other is None else name.removesuffix("_" + other.removeprefix("validation_"))
        results.append(
            EvalResult(
                task_type=kind,
                dataset_type=task.dataset,
                dataset_name=info.task,
                dataset_config=task.config,
                dataset_split=other or split,
                metric_type=_METRICS.get(plain, plain),
                metric_value=value,
                metric_name=name,
            )
        )
    card = ModelCardData(
        model_name=title,
        base_model=info.base_model if info.base_revision else origin,
        license=licence,
        library_name="transformers",
        pipeline_tag=kind if stock.reason is None else None,
        tags=["pruned", "espalier", info.spec.method],
        eval_results=results or None,
    )
    return card.to_yaml()


def _licence_and_origin(base: Path) -> tuple[str | None, str | None]:
    """Licence of the base model and the hub model that it comes from, as its card or its configuration states, if any."""
    try:
        card = base / "README.md"
        said = (metadata_load(card) or {}) if card.is_file() and card.stat().st_size <= _LONGEST_CARD else {}
        config: dict[str, Any] = json.loads((base / "config.json").read_text("utf-8"))
    except Exception:  # noqa: BLE001 - a card is free text, and nothing depends on it
        return None, None
    licence, origin = said.get("license"), said.get("base_model") or config.get("_name_or_path")
    is_name = isinstance(origin, str) and origin.count("/") == 1 and not origin.startswith((".", "/", "~"))
    return (licence if isinstance(licence, str) else None), (origin if is_name else None)


def _total(info: MaskInfo) -> int:
    return sum(rows * columns for rows, columns in info.shapes.values())


def _origin(info: MaskInfo) -> str:
    if info.weights_sha256 is None:
        return "No weight was changed: the mask was trained, the weights were not."
    if not info.has_known_method:
        return f"Method {info.spec.method}, of a package that was not installed where this was made, trained more than the mask."
    if not info.spec.method_info.trains_weights:
        return "No masked weight was changed: the mask was trained, and in addition small parts such as biases, norms and the head."
    return f"Method {info.spec.method} also trained the weights it kept."


def _about(stock: StockModel) -> str:
    info, name = stock.info, stock.class_name
    if stock.reason is not None:
        means = (
            " For a class with several tokens, the first one that no other class has holds their mean in the output embedding."
            if stock.averaged
            else ""
        )
        return (
            f"This is the language model, `{name}`, and no classifier ({stock.reason}): a pipeline for text classification "
            "would start one at random. The logits of the classes are those of their label words." + means
        )
    if info.head == "span":
        return f"`{name}`: logits of where an answer starts and ends."
    added = " Its last layer is the head of the language model, from which the label words are read." if stock.added_layer else ""
    given = (
        ""
        if info.label_threshold is None
        else f" Each label has a probability of its own and is given from {info.label_threshold:.4f}, the best threshold on the "
        "validation rows."
    )
    return f"`{name}`: {', '.join(class_names(info))}.{given} Texts are cut at {info.max_length} tokens, as in training.{added}"


def _code(stock: StockModel, folder: str) -> str:
    info, name = stock.info, json.dumps(folder, ensure_ascii=False)
    pair = len(info.spec.task_info.text) == 2
    first, second = _IN_BRIEF["span" if info.kind == "span" else "classification"]
    if stock.is_pipeline and info.kind == "token-classification":
        return f"""from transformers import pipeline

tag = pipeline("token-classification", model={name}, aggregation_strategy="first")
print(tag("Ann Lee lives in Rome"))"""
    if stock.is_pipeline:
        given = f'{{"text": "{first}", "text_pair": "{second}"}}' if pair else f'"{first}"'
        return f"""from transformers import pipeline

classify = pipeline("text-classification", model={name})
print(classify({given}, truncation=True, top_k=None))"""
    texts = f'"{first}", "{second}"' if pair else f'"{first}"'
    if info.template is not None:
        return _template_code(stock, name, (first, second) if pair else (first,))
    start = f"""import torch
from transformers import AutoTokenizer, {stock.class_name}

tokenizer = AutoTokenizer.from_pretrained({name})
model = {stock.class_name}.from_pretrained({name})
with torch.no_grad():
    inputs = tokenizer({texts}, return_tensors="pt", truncation=True)
    output = model(**inputs)
"""
    if info.kind == "span" and stock.reason is None:
        return (
            start
            + """start, end = output.start_logits[0].argmax(), output.end_logits[0].argmax()
print(tokenizer.decode(inputs["input_ids"][0, start : end + 1]))"""
        )
    words = dict(zip(("start", "end") if info.kind == "span" else class_names(info), info.label_ids, strict=True))
    where = ":" if info.kind == "span" else "0"
    if info.logit_scale is not None:
        return (
            start
            + f"""words = {words!r}  # name and token of its label word
offsets = torch.tensor({list(info.logit_offsets)!r})  # these and the factor are the calibration of the logits
logits = {info.logit_scale!r} * output.logits[0, 0, list(words.values())] + offsets
print(dict(zip(words, logits.tolist())))"""
        )
    return (
        start
        + f"""words = {words!r}  # name and token of its label word
print(dict(zip(words, output.logits[0, {where}, list(words.values())].{"T." if info.kind == "span" else ""}tolist())))"""
    )


def _template_code(stock: StockModel, name: str, texts: tuple[str, ...]) -> str:
    """Texts in the template, and the word at its mask, which a decoder predicts behind the last token."""
    info, encoder = stock.info, stock.tokenizer.mask_token is not None
    filled = str(info.template).replace("{text}", texts[0]).replace("{text_a}", texts[0]).replace("{text_b}", texts[-1])
    filled = re.sub(r"\s*\{mask\}", lambda _: f" {stock.tokenizer.mask_token}" if encoder else "", filled)
    where = "inputs.input_ids[0].tolist().index(tokenizer.mask_token_id)" if encoder else "-1"
    offsets = list(info.logit_offsets) or [0.0] * info.classes
    return f"""import torch
from transformers import AutoTokenizer, {stock.class_name}

tokenizer = AutoTokenizer.from_pretrained({name})
model = {stock.class_name}.from_pretrained({name})
text = {filled!r}  # the template, with a text in it
words = {dict(zip(class_names(info), info.label_ids, strict=True))!r}  # name and token of its label word
offsets = torch.tensor({offsets!r})  # these and the factor are the calibration of the logits
with torch.no_grad():
    inputs = tokenizer(text, return_tensors="pt", split_special_tokens=False)
    logits = model(**inputs).logits[0, {where}]
print(dict(zip(words, ({info.logit_scale or 1.0!r} * logits[list(words.values())] + offsets).tolist())))"""
