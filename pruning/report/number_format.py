"""Number formats of a report: percentages, bytes, durations, and round numbers for scales.

Called by :mod:`pruning.report.charts` and the sections of the page.
"""

import math
from collections.abc import Sequence

_UNITS = ("bytes", "kB", "MB", "GB", "TB")
NONE = "–"
"""Placeholder of a missing number."""


def percent(share: float | None) -> str:
    """``0.0972`` → ``9.7 %``; two digits below one percent, none for whole ones."""
    if share is None:
        return NONE
    value = 100 * share
    digits = 2 if 0 < abs(value) < 0.995 else 1
    return f"{value:.{digits}f}".removesuffix(".0") + " %"


def size(count: float | None) -> str:
    """Bytes, decimal: ``1234567`` → ``1.23 MB``."""
    if count is None:
        return NONE
    power = min(len(_UNITS) - 1, int(math.log10(max(count, 1)) // 3))
    return f"{count:,.0f} bytes" if power == 0 else f"{count / 1000**power:.3g} {_UNITS[power]}"


def duration(seconds: float | None) -> str:
    """``4980`` → ``1 h 23 min``."""
    if seconds is None:
        return NONE
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def number(value: float | None) -> str:
    """Whole numbers with thousands separators, others with four significant digits."""
    if value is None:
        return NONE
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.4g}" if 1e-3 <= abs(value) < 1e6 else f"{value:.2e}"


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About ``count`` round numbers from ``low`` to ``high``."""
    span = high - low
    if not span > 0:
        return [low]
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * unit for unit in (1, 2, 2.5, 5, 10) if power * unit >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5, 10 … at or above, for the end of a scale."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(round(power * unit, 12) for unit in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if power * unit >= value * (1 - 1e-9))


def thinned(count: int, most: int) -> Sequence[int]:
    """Up to ``most`` indices of ``count``, evenly spread, first and last among them."""
    if count <= most:
        return range(count)
    return sorted({round(i * (count - 1) / (most - 1)) for i in range(most)})
