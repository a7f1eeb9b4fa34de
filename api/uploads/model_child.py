"""Process that checks the files of one uploaded model or mask, with limits on its memory and time.

Started by :mod:`api.uploads.confined` for :mod:`api.uploads.model_check` and :mod:`api.uploads.mask_check`.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from api.uploads.child_program import answer_request
from api.uploads.mask_check import summarize_mask
from api.uploads.model_check import ModelUse, check_use
from pruning.processes.exit import run_program


def main() -> None:
    """Read the request, do it, and print the answer."""
    answer_request(_check, kind="file")


def _check(request: dict[str, Any]) -> dict[str, Any]:
    if "mask" in request:
        return asdict(summarize_mask(Path(request["mask"])))
    return asdict(check_use(Path(request["folder"]), ModelUse(**request["use"])))


if __name__ == "__main__":
    run_program(main)
