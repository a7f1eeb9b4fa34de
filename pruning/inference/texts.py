"""Texts given to a model for prediction: one ``str`` is one text, not its letters.

Called by :mod:`pruning.inference.pruned_model`.
"""

from collections.abc import Iterable, Mapping, Sequence, Set


def list_of_texts(texts: str | Sequence[str], name: str = "texts") -> list[str]:
    """The texts as a list. Raises TypeError that names what is none."""
    if isinstance(texts, str):
        return [texts]
    if not isinstance(texts, Iterable) or isinstance(texts, (bytes, bytearray, Mapping, Set)):
        raise TypeError(f"{name} must be a str or a list of them, not {type(texts).__name__}")
    given = list(texts)
    for number, text in enumerate(given):
        if not isinstance(text, str):
            raise TypeError(f"{name}[{number}] must be a str, not {type(text).__name__}")
    return given
