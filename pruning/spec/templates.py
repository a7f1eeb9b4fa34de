"""Templates that ask a language model for a label word: placeholders, their checks, and LM-BFF's templates for GLUE.

A template is a text with one ``{mask}``, where the label word is read, and every text column once: ``{text}`` where a task has one,
``{text_a}`` and ``{text_b}`` where it has two. Called by :class:`pruning.spec.schema.PruningSpec`; applied by
:mod:`pruning.data.template_encoding`. Torch-free.
"""

import re
from dataclasses import dataclass

from pruning.errors import PermanentError
from pruning.spec.errors import spec_error
from pruning.spec.tasks import Task

LM_BFF = "lm-bff"
"""Names that a spec may give in place of a text; resolved to the text."""
LM_BFF_TEMPLATES = {
    "cola": "{text} This is {mask}.",
    "mnli": "{text_a}? {mask}, {text_b}",
    "mrpc": "{text_a} {mask}, {text_b}",
    "qnli": "{text_a}? {mask}, {text_b}",
    "qqp": "{text_a} {mask}, {text_b}",
    "rte": "{text_a}? {mask}, {text_b}",
    "sst2": "{text} It was {mask}.",
    "stsb": "{text_a} {mask}, {text_b}",
}
"""Templates of Gao et al. (2021, arXiv 2012.15723), table 1, whose label words are those of the tasks. Their code also drops the
last token of a first text and lower-cases the second, which this does not."""
_MASK = "mask"
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Chunk:
    """Fixed text between two text columns; ``mask`` says where in it the mask token stands, as the text before and behind."""

    before: str
    behind: str | None
    """Text behind the mask token; None where the chunk has none."""


@dataclass(frozen=True)
class Slot:
    """A text column."""

    column: int
    after_blank: bool
    """Whether a blank is in front of it, which belongs to its first word."""


def resolve_template(given: str, task: Task) -> str:
    """The text of a template for ``task``, checked. Raises PydanticCustomError naming ``template``."""
    if given == LM_BFF:
        if task.name not in LM_BFF_TEMPLATES:
            raise spec_error(
                "template",
                "lm-bff has templates for {known}, and none for {task}; write one: {example}",
                known=", ".join(LM_BFF_TEMPLATES),
                task=task.name,
                example=_example(task),
            )
        return LM_BFF_TEMPLATES[task.name]
    found = _PLACEHOLDER.findall(given)
    if re.search(r"[{}]", _PLACEHOLDER.sub("", given)) or sorted(found) != sorted((_MASK, *_columns(task))):
        raise spec_error(
            "template",
            "a template for this task has {names} once each, and no other braces, as in {example}",
            names=", ".join(f"{{{name}}}" for name in (*_columns(task), _MASK)),
            example=_example(task),
        )
    return given


def split_template(template: str) -> list[Chunk | Slot]:
    """The parts of a checked template, in order."""
    parts: list[Chunk | Slot] = []
    fixed, before = "", None
    for index, piece in enumerate(_PLACEHOLDER.split(template)):
        if index % 2 == 0:
            fixed += piece
        elif piece == _MASK:
            before, fixed = fixed.rstrip(), ""
        else:
            blank = fixed != fixed.rstrip()
            parts += _chunk(fixed.rstrip(), before)
            parts.append(Slot(int(piece == "text_b"), blank))
            fixed, before = "", None
    return [*parts, *_chunk(fixed.rstrip(), before)]


def ends_with_mask(template: str) -> bool:
    """Whether the mask is last, so that a decoder can predict the word from the text before it."""
    return template.rstrip().endswith(f"{{{_MASK}}}")


def decoder_error() -> PermanentError:
    """The refusal of a template with text behind the mask for a model that reads from left to right."""
    return PermanentError(
        "the model reads from left to right and has no mask token, so nothing may follow {mask}; end the template with {mask}",
        code="template_unsupported",
        param="template",
    )


def too_long_error(fixed: int, columns: int, max_length: int) -> PermanentError:
    """The refusal of a template that leaves no token for each text."""
    return PermanentError(
        f"the template and the special tokens take {fixed} tokens and every text needs one, which exceeds the {max_length} "
        "tokens of a row; shorten the template or raise max_length",
        code="template_too_long",
        param="template",
    )


def _chunk(fixed: str, before: str | None) -> list[Chunk]:
    if before is not None:
        return [Chunk(before, fixed)]
    return [Chunk(fixed, None)] if fixed else []


def _columns(task: Task) -> tuple[str, ...]:
    return ("text",) if len(task.text) == 1 else ("text_a", "text_b")


def _example(task: Task) -> str:
    return LM_BFF_TEMPLATES["sst2" if len(task.text) == 1 else "mnli"]
