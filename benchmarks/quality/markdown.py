"""Tables of the quality benchmark in Markdown, put between two marks of a page.

Called by the command ``table``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.quality.summary import Estimate, Group, Setting, Summary, paired

BEGIN = "<!-- made by python -m benchmarks.quality table; the lines until the end mark are replaced -->"
END = "<!-- end of what benchmarks.quality made -->"
REACHED = {"sst2": 0.8}
"""Primary metric of a task to which the seconds are given."""


class PageError(ValueError):
    """A page without the two marks."""


def insert(page: Path, text: str) -> None:
    """Put ``text`` between the marks of ``page``. Raises PageError, OSError."""
    whole = page.read_text("utf-8")
    before, begin, rest = whole.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise PageError(f"{page} lacks the lines {BEGIN!r} and {END!r}, between which the tables go")
    page.write_text(f"{before}{BEGIN}\n\n{text.strip() or 'No runs yet.'}\n\n{END}{after}", "utf-8")


def sections(summary: Summary, against: str, figures: Mapping[Setting, Sequence[str]]) -> str:
    """One section for each table of ``summary``, each with its figures where it has some (their addresses from the page)."""
    parts = []
    for setting in summary.settings():
        parts += [f"### {title(setting)}", ""]
        for figure in figures.get(setting, ()):
            parts += [f"![{title(setting)}]({figure})", ""]
        parts += [table(summary.of(setting), against), ""]
    return "\n".join(parts)


def digest(summary: Summary, figures: Mapping[Setting, Sequence[str]], page: str) -> str:
    """Of each model the table with the most runs in short, without changed recipes, with its first figure; the largest model first,
    with a link to ``page``. Empty where there are no runs."""
    most: dict[str, Setting] = {}
    for setting in sorted(summary.settings(), key=lambda each: _runs(summary, each), reverse=True):
        most.setdefault(setting.model, setting)
    shown = sorted(most.values(), key=lambda setting: _stored(summary.of(setting)), reverse=True)
    parts = [f"Every recipe trained on the same rows, on one thread; [all numbers and how they compare]({page})."] if shown else []
    for setting in shown:
        parts += [f"**{title(setting)}**"]
        parts += [f"![{title(setting)}]({figures[setting][0]})"] if figures.get(setting) else []
        parts += [_short_table(summary.plain(setting))]
    return "\n\n".join(parts)


def _runs(summary: Summary, setting: Setting) -> int:
    return sum(len(group.runs) for group in summary.of(setting))


def _stored(groups: Sequence[Group]) -> float:
    """Bytes of the largest result: where the dense model was fine-tuned, its size."""
    return max(group.mean(lambda row: row["artifact_bytes"]) for group in groups)


def _short_table(groups: Sequence[Group]) -> str:
    header = ["recipe", "remaining", "held-out rows", f"{groups[0].metric}, validation", "seeds", "seconds", "stored"]
    lines = [f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
    for group in groups:
        values = (Estimate.from_values(list(each.values())) for each in (group.held_out(), group.validation()))
        cells = [
            _name(group),
            _remaining(group),
            *map(percent, values),
            str(len(group.runs)),
            f"{group.mean(lambda row: row['cpu_seconds_training']):,.0f}",
            size(group.mean(lambda row: row["artifact_bytes"])),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _remaining(group: Group) -> str:
    return "all" if group.sparsity is None else f"{100 * (1 - group.mean(lambda row: row['sparsity_got'])):.3g} %"


def title(setting: Setting) -> str:
    """Model, task, budget."""
    unusual = "" if setting.precision == "fp32" else f", {setting.precision}"
    unusual += "" if setting.device == "cpu" else f", {setting.device}"
    return f"{setting.model}, {setting.task.upper()}, {setting.steps:,} × {setting.batch} rows{unusual}"


def table(groups: Sequence[Group], against: str) -> str:
    """A line for each group; differences to the recipe ``against`` of the same sparsity, or to the dense one of that name."""
    task = groups[0].setting.task
    header = [
        "recipe",
        "remaining",
        f"{groups[0].metric}, validation",
        "held-out rows",
        f"difference to {against}",
        "seeds",
        "one class",
        "seconds",
        *([f"seconds to {100 * REACHED[task]:g} %"] if task in REACHED else []),
        "stored",
        "numbers",
    ]
    lines = [f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
    lines += [f"| {' | '.join(_cells(group, groups, against))} |" for group in groups]
    return "\n".join(lines)


def _cells(group: Group, groups: Sequence[Group], against: str) -> list[str]:
    one_class = sum(row["one_class"] for row in group.runs.values())
    task, runs = group.setting.task, len(group.runs)
    cells = [
        _name(group),
        _remaining(group),
        percent(Estimate.from_values(list(group.validation().values()))),
        percent(Estimate.from_values(list(group.held_out().values()))),
        _difference(group, groups, against),
        str(runs),
        f"{one_class} of {runs}" if one_class else "",
        f"{group.mean(lambda row: row['cpu_seconds_training']):,.0f}",
    ]
    if task in REACHED:
        reached = group.seconds_to(REACHED[task])
        mean = f"{sum(reached) / len(reached):,.0f}" if reached else ""
        cells.append(mean if len(reached) in (0, runs) else f"{mean} ({len(reached)} of {runs})")
    numbers = group.mean(lambda row: row["extra_parameters"])
    return [*cells, size(group.mean(lambda row: row["artifact_bytes"])), f"{numbers:,.0f}" if numbers else ""]


def _name(group: Group) -> str:
    name, *changes = group.recipe.split("@")
    changed = f" ({', '.join(changes)})" if changes else ""
    return f"`{name}`{changed}" + (f", best of {group.variants}" if group.variants > 1 else "")


def _difference(group: Group, groups: Sequence[Group], against: str) -> str:
    others = [other for other in groups if other.recipe.split("@")[0] == against.split("@")[0] and other is not group]
    named = [other for other in others if other.sparsity in (group.sparsity, None)]
    exact = [other for other in named if other.recipe == against] or named
    if not exact or group.recipe == exact[0].recipe:
        return ""
    found, rows = paired(group, exact[0])
    if found is None:
        return ""
    seeds = "" if found.runs == len(group.runs) else f", {found.runs} seeds"
    return f"{100 * found.mean:+.1f}{_error(found)}" + (" (validation)" if rows == "validation" else "") + seeds


def percent(estimate: Estimate | None) -> str:
    """``80.5 ± 0.3``; empty for nothing."""
    return "" if estimate is None else f"{100 * estimate.mean:.1f}{_error(estimate)}"


def _error(estimate: Estimate) -> str:
    return "" if estimate.error is None else f" ± {100 * estimate.error:.1f}"


def size(number: float) -> str:
    """Bytes in words."""
    for unit, factor in (("MB", 1e6), ("kB", 1e3)):
        if number >= factor:
            return f"{number / factor:.3g} {unit}"
    return f"{number:.0f} B"
