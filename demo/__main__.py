"""End-to-end demonstration, ``make demo``: one job from submission to a verified mask, and a table of its results.

Starts the embedded service in a temporary folder on a free loopback port, submits a job, watches it, downloads the mask,
applies it to the unchanged model and compares the predictions, stops the service. The hub's model is used when the hub can be
reached, else the model and data set that ship with the project.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from demo import settings
from espalier.cli.progress import follow
from espalier.client import Client
from espalier.client.job_words import result_of
from espalier.client.models import Job
from pruning.processes.bootstrap import python_command

START_SECONDS = 60
notify = Console(highlight=False).print


@dataclass(frozen=True)
class Plan:
    """The job to run, and the settings of the service that runs it."""

    spec: dict[str, Any]
    environment: dict[str, str] = field(default_factory=dict)
    models_dir: Path | None = None


def main() -> int:
    """Run the demo; returns the exit code."""
    plan = _plan()
    with tempfile.TemporaryDirectory(prefix="espalier-demo-") as folder, _service(Path(folder), plan) as url:
        started = time.monotonic()
        with Client(url) as client:
            notify(f"\nPOST {url}/v1/jobs\n{json.dumps(plan.spec, indent=2)}")
            job = client.submit(**plan.spec)
            notify(f"202 Accepted: {job.id}\n")
            job = follow(client, job.id)
            if job.status != "succeeded":
                notify(f"the job {job.status}: {job.error}")
                return 1
            mask = client.download(job, "mask.safetensors", Path(folder) / "mask.safetensors")
        seconds = time.monotonic() - started
        notify(f"downloaded {mask.name}: {mask.stat().st_size:,} bytes, sha-256 verified")
        same = _verify(mask, plan, job)
        notify(_table(job, seconds))
    return 0 if same else 1


def _plan() -> Plan:
    """The hub's model if the hub can be reached, else the shipped one; prints which."""
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(settings.HUB_MODEL, timeout=5)
        HfApi().dataset_info("nyu-mll/glue", timeout=5)
    except Exception as fault:  # noqa: BLE001 - for any reason the demo goes on without the hub, and prints it
        notify(f"The model hub cannot be reached ({type(fault).__name__}).")
        notify(f"Using the small model and data set that ship with the project: {settings.SHIPPED_MODEL}, reviews.")
        here = Path(__file__).parent
        environment = {
            "ESPALIER_MODELS_DIR": str(here / "models"),
            "ESPALIER_DATASETS_DIR": str(here / "datasets"),
            "ESPALIER_HUB_ENABLED": "false",
        }
        return Plan(settings.SHIPPED_SPEC, environment, here / "models")
    notify(f"The model hub answers: using {settings.HUB_MODEL} and GLUE SST-2.")
    return Plan(settings.HUB_SPEC)


@contextmanager
def _service(folder: Path, plan: Plan) -> Iterator[str]:
    """The embedded service while the block runs; yields its address."""
    command = python_command("espalier.cli", "serve", "--port", "0", "--data-dir", str(folder / "data"))
    log = (folder / "service.log").open("w+")
    service = subprocess.Popen(command, env=os.environ | plan.environment, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert service.stdout is not None  # noqa: S101 - for the type checker: PIPE was given
        line = service.stdout.readline()  # the one line that serve prints, once it is ready
        if "listens on" not in line:
            service.wait(START_SECONDS)
            log.seek(0)
            raise SystemExit(f"the service did not start:\n{log.read()}")
        notify(line.strip())
        yield line.split("listens on ")[1].split()[0]
    finally:
        service.terminate()
        service.wait()
        log.close()
        notify("service stopped")


def _verify(mask: Path, plan: Plan, job: Job) -> bool:
    """Apply the mask to the unchanged base model and evaluate again: the metrics must be the trainer's."""
    from transformers.utils import logging

    from espalier import load_pruned
    from pruning.inference.evaluation import evaluate_mask
    from pruning.sources import Sources

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers has no type for it
    pruned = load_pruned(mask, models_dir=plan.models_dir)
    datasets = plan.environment.get("ESPALIER_DATASETS_DIR")
    again = evaluate_mask(pruned, Sources(plan.models_dir, Path(datasets) if datasets else None))
    same = bool(again == result_of(job)["final"])
    notify(f"verified: mask on the untouched model evaluates {'exactly as in training' if same else f'differently: {again}'}")
    return same


def _table(job: Job, seconds: float) -> Table:
    result = result_of(job)
    metric = result["primary_metric"]
    table = Table(title="Espalier demo", show_header=False)
    rows = {
        f"{metric} before (untrained)": f"{result['before'][metric]:.1%}",
        f"{metric} after": f"{result['final'][metric]:.1%}",
        "sparsity asked": f"{result['sparsity_asked']:.2%}",
        "sparsity measured": f"{result['sparsity']:.2%} ({result['kept_weights']:,} of {result['masked_weights']:,} kept)",
        "mask.safetensors": f"{result['mask_bytes']:,} bytes",
        "mask.espalier": f"{result['compact_mask_bytes']:,} bytes, the same mask entropy-coded",
        "checkpoint": f"{result['checkpoint_bytes']:,} bytes",
        "training": f"{result['steps']} steps, {result['seconds']:.1f} s",
        "from POST to mask": f"{seconds:.1f} s",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


if __name__ == "__main__":
    sys.exit(main())
