"""Progress of downloads from the hub, in words: a tqdm bar that speaks instead of drawing."""

import io
import time
from collections.abc import Callable
from typing import Any

from tqdm.auto import tqdm

INTERVAL_SECONDS = 2.0


def progress_bar_class(on_progress: Callable[[str], None]) -> type[Any]:
    """A class for ``tqdm_class=`` that calls ``tell`` with ``12 of 440 MB`` at most every two seconds."""
    last = [time.monotonic()]

    class TellingBar(tqdm):  # type: ignore[misc]  # tqdm has no types
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)  # the hub client's own argument
            super().__init__(*args, **{**kwargs, "file": io.StringIO(), "disable": False})

        def display(self, *_args: Any, **_kwargs: Any) -> None:
            now = time.monotonic()
            if self.unit == "B" and self.total and now - last[0] >= INTERVAL_SECONDS:
                last[0] = now
                on_progress(f"{self.n / 1e6:.1f} of {self.total / 1e6:.1f} MB")

    return TellingBar
