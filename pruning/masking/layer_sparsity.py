"""Per-layer sparsity: which matrices have a sparsity of their own (``sparsity_by`` of a spec), and what that leaves to the others.

The overall count of ones stays that of the same spec without ``sparsity_by``, at every step. A matrix of n weights that is to keep
the share v of them keeps floor(v n); under a method that counts by rows, floor(v in) in each row. The others share the rest. Where
they cannot take what this rounding leaves (all of them are matched, full or empty), the overall count is off by less than one
weight per matrix, or per row. Called by :mod:`pruning.masking.methods` in every step, by :mod:`pruning.training` and by the API
for the checks before a run. Torch-free.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from pruning.errors import PermanentError
from pruning.masking import allocation
from pruning.spec.method_info import CountedBy
from pruning.spec.schema import PruningSpec
from pruning.spec.wording import quoted

Shape = tuple[int, int]
Shapes = Mapping[str, Shape]
"""Module path → (out, in)."""
_NEAR = 3
"""Paths that a refusal names."""


@dataclass(frozen=True)
class LayerSparsity:
    """The matrices with a sparsity of their own, and the overall sparsity, for which the others compensate."""

    overall: float
    """Share of all weights to remove in the end."""
    by_path: Mapping[str, float]
    """Module path → share of the matrix to remove in the end."""
    pattern_of: Mapping[str, str]
    """Module path → the pattern that names it."""

    def remaining(self, path: str, overall: float) -> float:
        """Share of a named matrix to keep while ``overall`` of all weights are kept: 1 - s_i (1 - v) / s.

        So it follows the schedule of v, from 1 to its own end. Rounded so that 1 - 0.9 is exactly a tenth.
        """
        removed = 1.0 - round(1.0 - self.overall, 12)  # in the end, of all weights: as the schedule has it
        passed = min(1.0, (1.0 - overall) / removed) if removed > 0 else 1.0
        return round(1.0 - self.by_path[path] * passed, 12)

    def split(self, shapes: Shapes, overall: float, by: CountedBy) -> tuple[dict[str, int], int]:
        """Ones of each named matrix, and of all others together."""
        named = {path: _count(shapes[path], self.remaining(path, overall), by) for path in shapes if path in self.by_path}
        others = sum(_size(shape) for path, shape in shapes.items() if path not in named)
        left = scheduled_count(shapes, overall, by) - sum(named.values())
        return named, min(max(left, 0), others)

    def counts(self, shapes: Shapes, overall: float, by: CountedBy) -> list[int]:
        """Ones of every matrix, those without a sparsity of their own keeping the same share."""
        named, left = self.split(shapes, overall, by)
        others = [path for path in shapes if path not in named]
        shared = allocation.proportional([_size(shapes[path]) for path in others], left) if others else []
        found = named | dict(zip(others, shared, strict=True))
        return [found[path] for path in shapes]

    def group_budgets(
        self, shapes: Shapes, groups: Mapping[str, Sequence[str]], overall: float
    ) -> tuple[dict[str, int], list[int]]:
        """Ones of each named matrix, and of the others of each of :meth:`other_groups`, which share the rest by size."""
        named, left = self.split(shapes, overall, "group")
        sizes = [sum(_size(shapes[path]) for path in paths) for paths in self.other_groups(groups)]
        return named, allocation.proportional(sizes, left) if sizes else []

    def other_groups(self, groups: Mapping[str, Sequence[str]]) -> list[list[str]]:
        """The groups without the named matrices; none is empty."""
        others = ([path for path in paths if path not in self.by_path] for paths in groups.values())
        return [paths for paths in others if paths]


def scheduled_count(shapes: Shapes, remaining: float, by: CountedBy) -> int:
    """Ones of all masks at a share ``remaining``, without a sparsity of single matrices; rounded down by matrix, group, ..."""
    match by:
        case "matrix" | "row":
            return sum(_count(shape, remaining, by) for shape in shapes.values())
        case "model":
            return math.floor(remaining * sum(map(_size, shapes.values())))
    groups: dict[str, int] = {}
    for path, shape in shapes.items():
        group = allocation.group_pattern(path)
        groups[group] = groups.get(group, 0) + _size(shape)
    return sum(math.floor(remaining * size) for size in groups.values())


def layer_sparsity(spec: PruningSpec, shapes: Shapes) -> LayerSparsity | None:
    """The matrices with a sparsity of their own; None for a spec without ``sparsity_by``.

    Raises PermanentError (``sparsity_by_unmatched``, ``sparsity_by_ambiguous``, ``sparsity_by_unreachable``).
    """
    by = spec.method_info.counted_by
    if not spec.sparsity_by or by is None:  # the second is refused with the spec
        return None
    pattern_of = match_patterns(spec.sparsity_by, [*shapes])
    by_path = {path: spec.sparsity_by[pattern] for path, pattern in pattern_of.items()}
    if spec.pattern == "2:4":  # the others are 2:4 and cannot compensate
        dense = sum(_size(shapes[path]) for path, own in by_path.items() if own == 0)
        overall = spec.sparsity * (1 - dense / sum(map(_size, shapes.values())))
        return LayerSparsity(overall, by_path, pattern_of)
    found = LayerSparsity(spec.sparsity, by_path, pattern_of)
    _require_reachable(found, spec, shapes, by)
    return found


def match_patterns(patterns: Mapping[str, float], paths: Sequence[str]) -> dict[str, str]:
    """Path → the pattern that decides: of several, the one that matches the fewest paths.

    A pattern (as of fnmatch: ``*``, ``?``, ``[ab]``) is compared with the path and with what follows each of its dots. Raises
    PermanentError for one that matches nothing, and for a tie between different values.
    """
    matches = {pattern: [path for path in paths if _fits(path, pattern)] for pattern in patterns}
    for pattern, matched in matches.items():
        if not matched:
            near = get_close_matches(pattern, paths, n=_NEAR, cutoff=0.0)
            raise PermanentError(
                f"{quoted(pattern)} matches none of the {len(paths)} masked matrices; paths near it are {', '.join(near)}",
                code="sparsity_by_unmatched",
                param="sparsity_by",
            )
    deciding: dict[str, str] = {}
    for pattern, matched in sorted(matches.items(), key=lambda item: len(item[1])):
        for path in matched:
            other = deciding.setdefault(path, pattern)
            if len(matches[other]) == len(matched) and patterns[other] != patterns[pattern]:
                raise PermanentError(
                    f"{path} is matched by {quoted(other)} ({patterns[other]:g}) and by {quoted(pattern)} "
                    f"({patterns[pattern]:g}), {len(matched)} matrices each, so neither is closer; name the matrix by its "
                    "full path, or narrow one of the two",
                    code="sparsity_by_ambiguous",
                    param="sparsity_by",
                )
    return {path: deciding[path] for path in paths if path in deciding}


def matched_rows(spec: PruningSpec, shapes: Shapes) -> Iterator[tuple[str | None, float, list[str]]]:
    """Pattern, sparsity and paths of each pattern that decides for a matrix; then, under None, those of the others, if any.

    Their sparsity is what is left for them. Raises PermanentError as :func:`layer_sparsity` does.
    """
    own, by = layer_sparsity(spec, shapes), spec.method_info.counted_by
    if own is None or by is None:
        return
    for pattern, sparsity in spec.sparsity_by.items():
        paths = [path for path in shapes if own.pattern_of.get(path) == pattern]
        if paths:
            yield pattern, sparsity, paths
    others = [path for path in shapes if path not in own.by_path]
    if others:
        size = sum(_size(shapes[path]) for path in others)
        kept = own.split(shapes, spec.remaining, by)[1]
        yield None, spec.sparsity if spec.pattern == "2:4" else 1 - kept / size, others


def _require_reachable(own: LayerSparsity, spec: PruningSpec, shapes: Shapes, by: CountedBy) -> None:
    """Refuse what would leave the others a density below 0 or above 1, except for rounding."""
    named = {path: _count(shapes[path], own.remaining(path, spec.remaining), by) for path in own.by_path}
    others = sum(_size(shape) for path, shape in shapes.items() if path not in named)
    total, asked, kept = (sum(map(_size, shapes.values())), scheduled_count(shapes, spec.remaining, by), sum(named.values()))
    rounding = sum(rows for rows, _ in shapes.values()) if by == "row" else len(shapes)
    if -rounding < asked - kept < others + rounding:
        return
    count = f"sparsity {spec.sparsity:g} keeps {asked:,} of {total:,} weights"
    if not others:
        reason = f"every matrix is matched by sparsity_by, and together they keep {kept:,}"
        remedy = f"set sparsity to {round(1 - kept / total, 12):.12g}, or match fewer matrices"
    elif asked < kept:
        reason = f"the {len(named)} matrices matched by sparsity_by alone keep {kept:,}"
        remedy = f"set sparsity to at most {math.floor(1e6 * (1 - kept / total)) / 1e6:g}, or raise those of sparsity_by"
    else:
        reason = (
            f"the {len(named)} matrices matched by sparsity_by keep {kept:,}, so that the others would have to keep "
            f"{asked - kept:,} of their {others:,}"
        )
        least = math.ceil(1e6 * (1 - (kept + others) / total)) / 1e6
        remedy = f"set sparsity to at least {least:g}, or lower those of sparsity_by"
    raise PermanentError(f"{count}, but {reason}; {remedy}", code="sparsity_by_unreachable", param="sparsity_by")


def _fits(path: str, pattern: str) -> bool:
    return fnmatchcase(path, pattern) or fnmatchcase(path, f"*.{pattern}")


def _count(shape: Shape, remaining: float, by: CountedBy) -> int:
    rows, columns = shape
    return rows * math.floor(remaining * columns) if by == "row" else math.floor(remaining * (rows * columns))


def _size(shape: Shape) -> int:
    return shape[0] * shape[1]
