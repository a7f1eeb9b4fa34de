"""Figure of a sweep: equal bytes each time, all of its parts, user text as text, no pyplot."""

import hashlib
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from api.responses.sweep_plot import MAX_PANELS, Caption, Line, Panel, draw, share
from service.sweeps.results import Mean, Table

ROOT = Path(__file__).parents[3]
MEANS = tuple(
    Mean(method, sparsity, 3, top - sparsity / 4, top - sparsity / 4 - 0.01, top - sparsity / 4 + 0.02, 1 - sparsity)
    for method, top in (("smp-s", 0.95), ("magnitude", 0.8))
    for sparsity in (0.97, 0.5, 0.8)
)
TABLE = Table("accuracy", 0.51, None, (), MEANS)
CAPTION = Caption("acme/$x$<b>&amp;é", "18 of 18 jobs ended", None)
PANEL = Panel.from_table(TABLE, CAPTION)


def texts(svg: bytes) -> list[str]:
    """Every text in the document; fails if it is not well-formed."""
    return [node.text or "" for node in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_svg_says_everything_and_escapes_what_users_write() -> None:
    said = texts(draw((PANEL,), "svg"))
    assert {"smp-s", "magnitude", "accuracy", "remaining weights", "dense, zero-shot"} <= {*said}
    assert {"3 %", "20 %", "50 %"} <= {*said}
    assert CAPTION.title in said
    assert CAPTION.note in said
    given = texts(draw((Panel.from_table(TABLE, Caption("t", "n", 0.93)),), "svg"))
    assert "dense" in given
    assert "dense, zero-shot" not in given
    assert "dense, fine-tuned" not in said
    tuned = texts(draw((Panel.from_table(replace(TABLE, fine_tuned=0.94), CAPTION),), "svg"))
    assert {"dense, zero-shot", "dense, fine-tuned"} <= {*tuned}


def test_png() -> None:
    png = draw((PANEL,), "png")
    assert png.startswith(b"\x89PNG")
    assert (int.from_bytes(png[16:20]), int.from_bytes(png[20:24])) == (1400, 900)
    phone = draw((PANEL, PANEL), "png", narrow=True)
    assert (int.from_bytes(phone[16:20]), int.from_bytes(phone[20:24])) == (840, 1680)


@pytest.mark.parametrize("means", [(), MEANS[:1]])
def test_little_to_draw(means: tuple[Mean, ...]) -> None:
    said = texts(draw((Panel.from_table(Table(None if not means else "f1", None, None, (), means), CAPTION),), "svg"))
    assert ("no job has succeeded yet" in said) is (not means)


def markers(svg: bytes) -> list[tuple[float, float]]:
    """Where markers are."""
    uses = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}use")
    return [(float(use.attrib["x"]), float(use.attrib["y"])) for use in uses if "clip-path" not in use.attrib]


def test_equal_points_stand_side_by_side() -> None:
    means = tuple(Mean(method, 0.5, 1, 0.8, 0.8, 0.8, 0.5) for method in ("smp-s", "magnitude", "l0"))
    apart = set(markers(draw((Panel.from_table(Table("f1", None, None, (), means), CAPTION),), "svg")))
    heights = [y for _, y in apart]
    same = max((heights.count(y), y) for y in heights)[1]
    assert len({x for x, y in apart if y == same}) >= 3


def test_every_sparsity_that_was_asked_has_a_tick_with_or_without_a_result() -> None:
    asked = (0.5, 0.51, 0.52, 0.9, 0.95, 0.97, 0.98, 0.99)
    means = tuple(
        Mean("smp-s", sparsity, 1, 0.8, 0.8, 0.8, 1 - sparsity) if sparsity < 0.98 else Mean("smp-s", sparsity, 0)
        for sparsity in asked
    )
    said = texts(draw((Panel.from_table(Table("f1", None, None, (), means), CAPTION),), "svg"))
    assert {f"{100 * (1 - sparsity):.3g} %" for sparsity in asked} <= {*said}


def test_where_sparsity_emerges_the_share_that_was_reached_counts() -> None:
    assert share(Mean("l0", 0.9, 1, 0.5, 0.5, 0.5, remaining=0.23)) == 0.23
    assert share(Mean("l0", 0.75, 0)) == 0.25


def test_another_process_draws_the_same_bytes_without_pyplot() -> None:
    script = (
        "import sys; from tests.api.responses.test_sweep_plot import *\n"
        "print(*(hashlib.sha256(draw((PANEL,), kind)).hexdigest() for kind in ('svg', 'png')))\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    here = [hashlib.sha256(draw.__wrapped__((PANEL,), kind)).hexdigest() for kind in ("svg", "png")]
    assert done.stdout.split() == here


def test_every_task_has_a_panel_and_lines_of_one_method_differ() -> None:
    lines = tuple(Line(f"smp-s, seed {number}", "smp-s", MEANS[:3]) for number in range(12))
    panels = tuple(
        Panel(Caption(f"task {number}", "", None), metric, None, lines) for number, metric in enumerate(("accuracy", "f1", None))
    )
    said = texts(draw(panels, "svg"))
    assert {"task 0", "task 1", "task 2", "accuracy", "f1", "metric", "smp-s, seed 11"} <= {*said}
    assert draw(panels[:1], "svg") != draw((replace(panels[0], lines=lines[:1] * 12),), "svg")
    assert len(draw(panels * (MAX_PANELS // 3), "png")) > 0
