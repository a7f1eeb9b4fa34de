"""Fuzz test: mutated model folders, data sets, hub answers and masks through admission and ``python -m pruning``.

    python -m tests.fuzz --inputs 30000 --seed 7 [--processes 4] [--only NUMBER] [--keep FOLDER]

Prints how often each outcome came and every kind of failure with its first input; the exit code is 1 when there was one. The
same seed and number make the same input: ``--only`` runs one again and prints all it left behind.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SECONDS = 60.0


def _prepare(folder: Path, seed: int) -> "tuple[subprocess.Popen[str], Any]":
    """The hub, and the libraries loaded, which read its address when they are imported."""
    (folder / "hub").mkdir()
    hub = subprocess.Popen(
        [sys.executable, "-m", "tests.fuzz.faulty_hub", str(folder / "hub"), str(seed)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert hub.stdout is not None
    os.environ |= {
        "HF_ENDPOINT": hub.stdout.readline().strip(),
        "HF_HOME": str(folder / "home"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_ETAG_TIMEOUT": "2",
        "HF_HUB_DOWNLOAD_TIMEOUT": "2",
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    }
    import datasets  # noqa: F401 - loaded before the forks
    import torch
    from transformers.models.bert import modeling_bert  # noqa: F401
    from transformers.models.distilbert import modeling_distilbert  # noqa: F401
    from transformers.models.electra import modeling_electra  # noqa: F401
    from transformers.models.roberta import modeling_roberta  # noqa: F401

    import pruning.export.run
    import pruning.inference.pruned_model
    import pruning.training.train  # noqa: F401
    from tests.fuzz import cases

    torch.set_num_threads(1)
    return hub, cases


def main() -> int:
    """Run the inputs that the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--inputs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=max(1, min(8, os.cpu_count() or 1)))
    parser.add_argument("--only", type=int, action="append", help="number of an input; its files are kept")
    parser.add_argument("--keep", type=Path, help="folder where the files of inputs that fail are kept")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="espalier-fuzz-") as temporary:
        hub, cases = _prepare(Path(temporary), arguments.seed)
        try:
            return _run(arguments, cases, Path(temporary))
        finally:
            hub.kill()
            hub.wait()


def _run(arguments: argparse.Namespace, cases: Any, folder: Path) -> int:
    from tests.fuzz.forks import run_forked

    toys = cases.Toys(folder, arguments.seed)
    toys.make()
    outcomes: Counter[str] = Counter()
    failures: dict[str, list[dict[str, Any]]] = {}
    started = time.monotonic()
    numbers = arguments.only or range(arguments.inputs)  # number 0 is not mutated: it must succeed
    for ended in run_forked(
        numbers, lambda number: cases.run_case(toys, number, folder / f"{number}"), processes=arguments.processes, seconds=SECONDS
    ):
        place = folder / f"{ended.number}"
        result = _result(place, ended)
        outcomes[f"{result['kind']}: {(result['failure'] and 'FAILURE') or result['outcome']}"] += 1
        if result["failure"] or (ended.number == 0 and result["outcome"] != "ok"):
            failures.setdefault(result["failure"] or "the input without mutations", []).append(result)
            if arguments.keep:
                shutil.rmtree(arguments.keep / f"{ended.number}", ignore_errors=True)
                shutil.copytree(place, arguments.keep / f"{ended.number}", symlinks=True)
        if arguments.only:
            print(json.dumps(result, indent=1), (place / "stderr").read_text("utf-8", "replace")[-6000:])
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(folder / "hub" / f"case-{ended.number}", ignore_errors=True)
    _report(outcomes, failures, time.monotonic() - started)
    return 1 if failures else 0


def _result(folder: Path, ended: Any) -> dict[str, Any]:
    file = folder / "result.json"
    if file.is_file():
        found: dict[str, Any] = json.loads(file.read_text())
        return found
    why = f"no end within {SECONDS:.0f} s" if ended.hung else f"killed by signal {ended.signal}"
    what = (folder / "what").read_text() if (folder / "what").is_file() else "?"
    return {"number": ended.number, "kind": "?", "what": [what], "outcome": "", "failure": why, "detail": ""}


def _report(outcomes: Counter[str], failures: dict[str, list[dict[str, Any]]], seconds: float) -> None:
    for name, count in sorted(outcomes.items()):
        print(f"{count:6} {name}")
    total = sum(outcomes.values())
    print(f"{total} inputs in {seconds:.1f} s ({total / seconds:.1f} a second), {len(failures)} kinds of failures")
    for name, results in sorted(failures.items(), key=lambda item: -len(item[1])):
        first = results[0]
        print(f"\n{len(results):5} {name}\n      inputs {', '.join(str(each['number']) for each in results[:8])}")
        print(f"      {first['kind']}: {'; '.join(first['what'])}\n      {first['detail'][-300:]}")


if __name__ == "__main__":
    sys.exit(main())
