"""Methods against each other on real data: accuracy after a fixed number of steps, by sparsity and seed.

    python -m benchmarks.methods --models-dir DIR --datasets-dir DIR --model NAME [--steps N]
        [--tasks sst2 mrpc] [--seeds 1 2] [--methods smp-s ...] [--sparsities 0.9 ...] [--precisions fp32 bf16] [--out FILE]

Every run is ``python -m pruning train`` with the method's own defaults; only steps, batch and lengths are set, the same for
all. Rows are appended to ``--out`` as they come, so a run that is interrupted goes on where it stopped. The last line is
one JSON object: mean of the primary metric by task, sparsity and method, over the seeds.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

METHODS = ("smp-s", "smp-l", "movement", "magnitude")
SPARSITIES = (0.9, 0.97)
TASKS = ("sst2", "mrpc")


def main() -> None:
    """Run what is not in the file yet, then summarise the file."""
    arguments = _arguments()
    done = _read(arguments.out)
    grid = itertools.product(arguments.seeds, arguments.tasks, arguments.sparsities, arguments.methods, arguments.precisions)
    for seed, task, sparsity, method, precision in grid:
        spec = {
            "model": arguments.model,
            "task": task,
            "method": method,
            "sparsity": sparsity,
            "seed": seed,
            "max_steps": arguments.steps,
            "batch_size": arguments.batch,
            "max_length": 64,
        }
        if precision != "fp32":  # the default, so that it is in no spec
            spec["precision"] = precision
        if any(row["spec"] == spec for row in done):
            continue
        row = _run(spec, arguments)
        print(f"{task} {sparsity} {method} {precision} seed {seed}: {row['final']} in {row['seconds']:.0f} s", flush=True)
        done.append(row)
        with arguments.out.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row) + "\n")
    print(json.dumps(_summary(done)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.methods")
    parser.add_argument("--models-dir", type=Path, required=True)
    parser.add_argument("--datasets-dir", type=Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--sparsities", type=float, nargs="+", default=list(SPARSITIES))
    parser.add_argument("--precisions", nargs="+", choices=("fp32", "bf16"), default=["fp32"])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/methods.jsonl"))
    return parser.parse_args()


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def _run(spec: dict[str, Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """One training; raises CalledProcessError with the trainer's own words when it fails."""
    with tempfile.TemporaryDirectory() as work:
        file = Path(work) / "spec.json"
        file.write_text(json.dumps(spec))
        command = [
            sys.executable,
            "-m",
            "pruning",
            "train",
            "--spec",
            str(file),
            "--work",
            work,
            "--no-hub",
            "--models-dir",
            str(arguments.models_dir),
            "--datasets-dir",
            str(arguments.datasets_dir),
        ]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    last = json.loads(done.stdout.splitlines()[-1])
    if last["event"] != "finished":
        raise SystemExit(f"{spec}: {last}")
    metrics = last["metrics"]
    keys = ("primary_metric", "before", "final", "sparsity", "seconds", "mask_bytes", "weights_changed")
    return {"spec": spec, **{key: metrics[key] for key in keys}}


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    groups: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        spec = row["spec"]
        name = f"{spec['task']} {spec['sparsity']} {spec['method']} {spec.get('precision', '')}".rstrip()
        groups[name].append(row["final"][row["primary_metric"]])
    means = {name: {"mean": round(statistics.mean(values), 4), "runs": len(values)} for name, values in sorted(groups.items())}
    return {"benchmark": "methods", "runs": len(rows), "metric": "accuracy", "means": means}


if __name__ == "__main__":
    main()
