"""Modules that a fresh interpreter must not load; the import contracts between the packages are part of ``make check``."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("module", ["api.app", "worker.app", "espalier.cli.main"])
def test_a_fresh_interpreter_loads_nothing_heavy(module: str, tmp_path: Path) -> None:
    """Import-linter cannot see an import inside ``pruning/__init__.py``; this can."""
    tracing = ("opentelemetry.sdk.trace", "opentelemetry.exporter", "service.tracing.otel")
    heavy = ("torch", "transformers", "datasets", "sklearn", "scipy", "matplotlib", "boto3", "botocore", *tracing)
    script = f"import {module}, sys; print(*sorted(set({heavy!r}) & sys.modules.keys()))"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "ESPALIER_DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
