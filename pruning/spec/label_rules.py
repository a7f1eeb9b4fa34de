"""Validation rules on labels, label words and heads of a spec: what fits the task's kind, and what a word may be.

Called by :mod:`pruning.spec.rules`.
"""

from pydantic_core import PydanticCustomError

from pruning.spec.errors import spec_error
from pruning.spec.fields import SpecFields
from pruning.spec.verbalizer import several_words, words_of

_MAX_WORD = 50
"""Characters of a label word; one token has fewer."""
_UNTAUGHT = {
    "regression": "a regression has one logit, whose softmax teaches nothing",
    "multilabel": "distillation compares softmaxes, and the labels of a multilabel task have a sigmoid each",
    "token-classification": "distillation compares one softmax per row, and a token classification has one per word",
}
"""Kinds of tasks without distillation, and why."""
_HEADS_OF_KIND = {"span": ("span",), "multilabel": ("classifier",), "token-classification": ("token-classifier",)}
"""Kinds of tasks that have heads of their own; all others take label-words or classifier."""


def check_labels(spec: SpecFields) -> None:
    """Refuse labels, words and teachers that do not fit the task. Raises PydanticCustomError."""
    labels, words = spec.task_info.labels, spec.task_info.label_words
    if labels is not None and words and len(labels) != len(words):
        raise spec_error(
            "task.labels",
            "labels has {got} names and label_words {words} words; give one of each per class",
            got=len(labels),
            words=len(words),
        )
    expected = spec.task_info.classes
    if not spec.label_words and spec.head == "label-words" and spec.task_info.kind not in _HEADS_OF_KIND:
        raise _no_words(spec, f"{expected} class names have no words that distinguish them" if labels else "there are none")
    if spec.label_words and len(spec.label_words) != expected:
        raise spec_error(
            "label_words",
            "label_words has {got} words, the task {task} has {expected} classes; give one word per class",
            got=len(spec.label_words),
            task=spec.task_info.name,
            expected=expected,
        )
    kind = spec.task_info.kind
    if kind in ("multilabel", "token-classification") and spec.label_words != spec.task_info.label_words:
        raise spec_error("label_words", "a task of kind {kind} has no label words, only labels; leave label_words out", kind=kind)
    _check_words(spec)
    if spec.teacher_labels is not None and spec.teacher is None:
        raise spec_error("teacher_labels", "teacher_labels names the classes of a teacher; give a teacher or leave it out")
    reason = _UNTAUGHT.get(spec.task_info.kind)
    if spec.teacher is not None and reason is not None:
        raise spec_error("teacher", "{reason}; leave teacher out", reason=reason)


def _check_words(spec: SpecFields) -> None:
    """Check the form of label words; a classifier head has classes only, whose names may be anything."""
    kind = spec.task_info.kind
    words = [word for given in spec.label_words for word in words_of(given)]
    if len(set(words)) != len(words):
        raise spec_error("label_words", "label_words must differ from each other, or two classes could not be distinguished")
    if several_words(spec.label_words) and (kind != "classification" or spec.head != "label-words"):
        raise spec_error(
            _words_field(spec),
            "{what} takes no lists of words: several words for a class are for a classification with head label-words; give one "
            "word in place of each list",
            what=f"head {spec.head}" if kind == "classification" else f"a {kind}",
        )
    if spec.label_word_pieces != "refuse" and spec.head not in ("label-words", "span"):
        raise spec_error(
            "label_word_pieces",
            "head {head} reads no label words, which could be several tokens; leave label_word_pieces out, or set head to "
            "label-words",
            head=spec.head,
        )
    if spec.head != "label-words" or kind in _HEADS_OF_KIND:
        return
    for word in words:
        if len(word) > _MAX_WORD or any(char.isspace() for char in word):
            raise _no_words(spec, f"{word!r} is not a single word")


def _words_field(spec: SpecFields) -> str:
    """Field in which the words were given."""
    return "label_words" if "label_words" in spec.model_fields_set else "task.label_words"


def _no_words(spec: SpecFields, fault: str) -> PydanticCustomError:
    return spec_error(
        _words_field(spec),
        "head label-words needs a word per class, and {fault}; give label_words (one word per class, in class-id order), or set "
        "head to classifier, which needs none",
        fault=fault,
    )


def check_head(spec: SpecFields) -> None:
    """Refuse a head that does not fit the task, and options of other heads. Raises PydanticCustomError."""
    fitting = _HEADS_OF_KIND.get(spec.task_info.kind, ("label-words", "classifier"))
    if spec.head not in fitting:
        raise spec_error(
            "head",
            "head {head} does not fit task {task}; use {right}",
            head=spec.head,
            task=spec.task_info.name,
            right=" or ".join(fitting),
        )

    if spec.fit_readout and (spec.head == "span" or (spec.head == "label-words" and not spec.train_readout)):
        raise spec_error(
            "fit_readout",
            "head {head} has no read-out that is trained, so nothing to fit; use head classifier, or train_readout",
            head=spec.head,
        )
    if spec.template is not None and spec.head != "label-words":
        raise spec_error(
            "template", "head {head} reads no word at a mask; leave template out, or set head to label-words", head=spec.head
        )
    if spec.pooling is not None and spec.head != "classifier":
        raise spec_error(
            "pooling",
            "head {head} pools no states; leave pooling out{remedy}",
            head=spec.head,
            remedy=", or set head to classifier" if "classifier" in fitting else "",
        )
    if spec.calibrate_logits and spec.head != "label-words":
        raise spec_error("calibrate_logits", "head {head} has no label words to calibrate; leave it out", head=spec.head)
