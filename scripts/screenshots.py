"""Screenshots of the pages: ``python -m scripts.screenshots`` makes the pictures of the README in ``docs/images``, light and dark.

Runs the embedded service with the model and data set that ship with the project, submits three jobs, waits for two of them and
takes the list, a job and the comparison while the third one runs. ``--widths 390,900,1440 --to FOLDER`` takes every page, whole,
for inspection. Needs Chromium (``ESPALIER_CHROMIUM``, else ``/usr/bin/chromium``) and Playwright.
"""

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, sync_playwright

from api.pages.rendering import NAVIGATION
from demo.settings import SHIPPED_SPEC
from espalier.client import Client
from pruning.processes.bootstrap import python_command

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_SIZE = (1200, 780)
_JOBS: tuple[dict[str, Any], ...] = (
    {"sparsity": 0.9, "max_steps": 300, "eval_every": 60, "seed": 1},
    {"sparsity": 0.8, "max_steps": 200, "eval_every": 50, "method": "magnitude"},
    {"sparsity": 0.97, "max_steps": 4000, "eval_every": 20, "method": "smp-l", "metadata": {"team": "reviews"}},
)


def main() -> None:
    """Raises SystemExit where the service does not start or a job fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=IMAGES)
    parser.add_argument("--widths", type=lambda text: [int(width) for width in text.split(",")], default=[])
    options = parser.parse_args()
    options.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="espalier-screenshots-") as folder, embedded_service(Path(folder)) as url:
        done = _submit(url)
        pages = {"jobs": "/", "job": f"/jobs/{done[0]}", "compare": f"/compare?job={done[0]}&job={done[1]}"}
        with sync_playwright() as playwright:
            program = os.environ.get("ESPALIER_CHROMIUM", "/usr/bin/chromium")
            browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            if options.widths:
                more = {path.strip("/"): path for path, *_ in NAVIGATION if path != "/"}
                running = {"running": f"/jobs/{done[2]}", "nothing": "/nothing"}
                _take_all(browser, url, pages | more | running, options.widths, options.to)
            else:
                _take(browser, url, pages, options.to)
            browser.close()


def _submit(url: str) -> list[str]:
    with Client(url) as client:
        ids = [client.submit(**{**SHIPPED_SPEC, **changes}).id for changes in _JOBS]
        for job_id in ids[:2]:
            job = client.wait(job_id, timeout=1800)
            if job.status != "succeeded":
                raise SystemExit(f"job {job_id} {job.status}: {job.error}")
        while not ((progress := client.get(ids[2]).progress) and progress.step):
            time.sleep(0.5)
    return ids


def _take(browser: Browser, url: str, pages: dict[str, str], folder: Path) -> None:
    """What one sees without scrolling, in both themes."""
    for scheme in _SCHEMES:
        context = browser.new_context(color_scheme=scheme, viewport={"width": _SIZE[0], "height": _SIZE[1]})
        page = context.new_page()
        for name, path in pages.items():
            page.goto(f"{url}{path}")
            page.wait_for_timeout(1500)  # for the curves
            page.screenshot(path=folder / f"{name}-{scheme}.png")
        context.close()


def _take_all(browser: Browser, url: str, pages: dict[str, str], widths: Sequence[int], folder: Path) -> None:
    for scheme in _SCHEMES:
        for width in widths:
            context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
            page = context.new_page()
            for name, path in pages.items():
                page.goto(f"{url}{path}")
                page.wait_for_timeout(1000)
                page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)
            context.close()


@contextmanager
def embedded_service(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Address of the embedded service while the block runs, with ``settings`` as further variables of its environment."""
    environment = {
        "ESPALIER_MODELS_DIR": str(ROOT / "demo" / "models"),
        "ESPALIER_DATASETS_DIR": str(ROOT / "demo" / "datasets"),
        "ESPALIER_HUB_ENABLED": "false",
        **(settings or {}),
    }
    command = python_command("espalier.cli", "serve", "--port", "0", "--data-dir", str(folder / "data"))
    with (folder / "log").open("w+") as log:
        service = subprocess.Popen(command, env=os.environ | environment, stdout=log, stderr=log, cwd=ROOT)
        try:
            while "Espalier listens on" not in (said := (folder / "log").read_text()):
                if service.poll() is not None:
                    raise SystemExit(f"the service did not start:\n{said}")
                time.sleep(0.1)
            yield said.split("Espalier listens on ")[1].split()[0]
        finally:
            service.terminate()
            service.wait()


if __name__ == "__main__":
    main()
