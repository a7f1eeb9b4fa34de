"""Common parts of the speed benchmarks: the options ``--json`` and ``--out``, and a result kept with command, machine and date."""

import argparse
import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch


def add_options(parser: argparse.ArgumentParser) -> None:
    """``--json``, ``--out``."""
    parser.add_argument("--json", action="store_true", help="print the last line only")
    parser.add_argument("--out", type=Path, help="keep the result, with date, machine and command, in this file as well")


def keep(arguments: argparse.Namespace, name: str, found: dict[str, Any]) -> None:
    """Write ``found`` to ``--out``, if that was given."""
    if arguments.out is None:
        return
    about = {
        "command": " ".join(["python -m", f"benchmarks.{name}", *_shown(sys.argv[1:])]),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"processor": _processor(), "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)},
        "torch": torch.__version__,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({**about, "results": found}, indent=1) + "\n")


def _shown(words: list[str]) -> list[str]:
    """A command's arguments, without where folders lie on this one machine."""
    return [
        "DIR" if before in ("--models-dir", "--datasets-dir") else word for before, word in zip(["", *words], words, strict=False)
    ]


def _processor() -> str:
    """Its model in words; nothing that names this one machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
