"""Form of IOB2 tags. Without imports: the process that parses uploads starts with it."""

OUTSIDE = "O"
"""Tag of a word outside of entities."""


def is_tag(tag: str) -> bool:
    """Whether a text is ``O``, ``B-type`` or ``I-type``."""
    return tag == OUTSIDE or (tag[:2] in ("B-", "I-") and len(tag) > 2)
