"""Report page: one file that loads nothing, every figure drawn and as a table, markup of users escaped."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from pruning.report import rendering
from pruning.report.page import page
from tests.browser import chromium as browser
from tests.pruning.report.examples import numbers

EVIL = """</title></style></pre>"'><script>alert(1)</script><img src=x onerror=alert(1)><svg/onload=alert(1)>{{ 7 * 191 }}"""
TEMPLATES = Path(rendering.__file__).parent / "templates"
WITHOUT_END = {"meta", "br"}


class Elements(HTMLParser):
    """Every start tag with its attributes, all text, and the cells of every table by its label."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.tables: dict[str, list[list[str]]] = {}
        self.style = ""
        self._open: list[str] = []
        self._label = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in WITHOUT_END:
            self._open.append(tag)
        if tag == "table":
            self._label = dict(attributes)["aria-label"] or ""
            self.tables[self._label] = []
        elif tag == "tr":
            self.tables[self._label].append([])
        elif tag in ("th", "td"):
            self.tables[self._label][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self.style += data
            return
        self.text += data
        if "td" in self._open or "th" in self._open:
            self.tables[self._label][-1][-1] += data

    def words(self) -> str:
        return " ".join(self.text.split())


BIG = page(numbers())
SHOWN = Elements(BIG)


def hostile(address: str = EVIL) -> dict[str, Any]:
    """Every text that a user or a data set chooses is an attack."""
    made = numbers()
    evil = f'{EVIL}<img src="{address}/image"><script>fetch("{address}/script")</script>'
    made["model"] |= {"name": evil, "revision": evil}
    made["task"] |= {"name": evil, "labels": [evil, evil]}
    made["scores"][0] |= {"split": evil, "confusion": {"labels": [evil, evil + "2"], "counts": [[1, 2], [3, 4]]}}
    made["spec"] |= {"model": evil, "task": {"dataset": evil}}
    made["exports"] = [{"format": evil, "artifact": evil, "bytes": 1, "verdict": evil, "equal": None, "latency": []}]
    made["sizes"].append({"artifact": evil, "bytes": 1})
    made["matrices"][0] |= {"path": evil, "kind": evil, "layer": evil}
    made["result"] |= {"final": {evil: 0.5, "accuracy": 0.9}}
    made["warnings"] = [{"code": evil, "message": evil, "remedy": evil}]
    made["versions"] = {evil: evil}
    return made


def test_a_bert_base_stays_small() -> None:
    assert len(BIG.encode()) < 300_000


def test_nothing_is_loaded_and_nothing_runs() -> None:
    names = {name for name, _ in SHOWN.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    for _, attributes in SHOWN.tags:
        assert not attributes.keys() & {"src", "href", "style", "srcset"}
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"url\(|@import|https?://", BIG)


def test_the_policy_allows_the_style_sheet_in_the_file_and_nothing_else() -> None:
    digest = base64.b64encode(hashlib.sha256(SHOWN.style.encode()).digest()).decode()
    (found,) = [a["content"] for _, a in SHOWN.tags if a.get("http-equiv") == "Content-Security-Policy"]
    directives = dict((found or "").split(" ", 1) for found in (found or "").split("; "))
    assert directives == {"default-src": "'none'", "style-src": f"'sha256-{digest}'", "base-uri": "'none'", "form-action": "'none'"}


def test_names_from_users_stay_text() -> None:
    found = Elements(page(hostile()))
    assert {name for name, _ in found.tags} == {name for name, _ in SHOWN.tags}
    assert not any(attributes.keys() & {"src", "onerror", "onload"} for _, attributes in found.tags)
    assert found.text.count("<script>alert(1)</script>") >= 20
    assert found.text.count("{{ 7 * 191 }}") == found.text.count("<script>alert(1)</script>")
    assert "1337" not in found.text


@pytest.mark.parametrize("file", sorted(TEMPLATES.iterdir()), ids=lambda file: file.name)
def test_templates_leave_the_escaping_on(file: Path) -> None:
    assert not re.search(r"\|\s*safe|autoescape|<script|\sstyle=|\son\w+=", file.read_text("utf-8"))


def test_a_number_that_is_missing_is_an_error() -> None:
    made = numbers()
    del made["cost"]["train_rows"]
    with pytest.raises(UndefinedError):
        page(made)


def test_the_summary_has_the_numbers_that_matter() -> None:
    said = SHOWN.words()
    for part in (
        "bert-base, pruned to sst2",
        "Method smp-s kept 8,493,465 of 84,934,656 masked weights in 1,000 steps.",
        "It also trained 121,344 extra parameters, 0.14 % of the masked weights; they are 505 kB in addition to the mask.",
        "0.9151 0.51 dense, zero-shot",
        "10 % 10 % asked",
        "5 MB 88 times smaller than the checkpoint",
        "1 h 23 min on cuda",
    ):
        assert part.replace(" ", "") in said.replace(" ", "")


def test_a_baseline_is_shown_next_to_the_zero_shot_model() -> None:
    made = numbers()
    made["result"]["baseline"] = {
        "metrics": {"accuracy": 0.9312},
        "steps": 1000,
        "learning_rate": 5e-05,
        "seconds": 4200.0,
        "rows_per_second": 15.2,
    }
    shown = Elements(page(made))
    assert shown.tables["Metrics"] == [
        ["metric", "dense, zero-shot", "dense, fine-tuned", "final mask"],
        ["accuracy", "0.51", "0.9312", "0.9151"],
    ]
    assert "0.9312dense,fine-tuned" in shown.words().replace(" ", "")
    assert "1,000 steps on the same rows at a learning rate of 5e-05, took another 1 h 10 min" in shown.words()
    lines = [attributes["class"] for tag, attributes in shown.tags if tag == "polyline"]
    assert lines.count("dotted") == 2  # the line and its key
    assert "fine-tuned" not in SHOWN.text
    assert "dotted" not in [attributes["class"] for tag, attributes in SHOWN.tags if tag == "polyline"]


def test_tables_have_the_values() -> None:
    found = SHOWN.tables
    assert found["Metrics"] == [["metric", "dense, zero-shot", "final mask"], ["accuracy", "0.51", "0.9151"]]
    assert [row[:4] for row in found["Evaluations"][1:]] == [
        ["0", "before", "100 %", "0.51"],
        ["500", "during", "30 %", "0.8"],
        ["1,000", "final", "10 %", "0.9151"],
    ]
    assert found["Confusion matrix"][1:] == [["negative", "388", "40"], ["positive", "34", "410"]]
    assert found["Sizes"][1:] == [
        ["the base model's checkpoint", "–", "440 MB", "100 %"],
        ["mask, one bit per weight", "mask.safetensors", "10.6 MB", "2.4 %"],
    ]
    assert found["Empty rows and columns"][1] == ["bert.encoder.layer.0.attention.self.query", "1 of 768", "0 of 768"]
    assert (len(found["Matrices"]), len(found["Attention heads"])) == (1 + 72, 1 + 144)
    assert ["torch", "2.11"] in found["Versions"]
    assert "Warnings" not in found


def test_every_drawing_says_what_it_shows_and_has_a_table() -> None:
    drawings = [attributes for name, attributes in SHOWN.tags if name == "svg"]
    assert len(drawings) == 11
    named = [name for attributes in drawings for name in (attributes["aria-labelledby"] or "").split()]
    ids = [attributes["id"] for _, attributes in SHOWN.tags if "id" in attributes]
    assert len(set(named)) == 2 * len(drawings)
    assert len(set(ids)) == len(ids)
    assert set(named) <= set(ids)
    assert SHOWN.text.count("As a table") == len(drawings)


def test_warnings_come_with_their_remedies() -> None:
    warning = {"code": "budget_small", "message": "Few steps & rows.", "remedy": "Set epochs to 4."}
    found = Elements(page(numbers(warnings=[warning])))
    assert found.tables["Warnings"][1:] == [["Few steps & rows.", "Set epochs to 4.", "budget_small"]]


@pytest.mark.slow
def test_exports_are_shown_with_their_latency() -> None:
    latency = {"batch": 1, "tokens": 128, "before_ms": 80.0, "after_ms": 40.0, "factor": 2.0}
    export = {"format": "onnx", "artifact": "model.onnx", "bytes": 5, "verdict": "as fast", "equal": 1.0, "latency": [latency]}
    found = Elements(page(numbers(exports=[export]))).tables
    assert found["Exports"][1:] == [["onnx", "model.onnx", "5 bytes", "100 % of the rows", "as fast"]]
    assert found["Latency"][1:] == [["onnx", "–", "1", "128", "80.00 ms", "40.00 ms", "2.00 ×"]]


def test_questions_by_f1_have_a_table() -> None:
    split = {"split": "validation", "rows": 55, "metrics": {}, "f1_histogram": list(range(10))}
    found = Elements(page(numbers(scores=[split])))
    assert "Questions by the F1 of their answer: validation, 55 rows" in found.text
    assert [row[1] for row in found.tables["F1 by question"][1:]] == [str(i) for i in range(10)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"heads": []}, "not divided into heads"),
        ({"curves": {"step": [], "resumed": [], "stride": 1}}, "there are no steps to show"),
        ({"exports": None}, "No export was requested"),
        ({"scores": [{"split": "validation", "rows": 2, "metrics": {}, "points": [[1.0, 2.0], [3.0, None]]}]}, "Predicted against"),
        ({"scores": [{"split": "validation", "rows": 2, "metrics": {}, "confusion": None}]}, "too many classes"),
    ],
)
def test_missing_parts_are_named(changes: dict[str, Any], said: str) -> None:
    assert said in Elements(page(numbers(**changes))).text


def test_nothing_asked_is_not_a_sparsity() -> None:
    result = numbers()["result"] | {"sparsity_asked": None, "compact_mask_bytes": 0, "extra_parameters": 0}
    said = Elements(page(numbers(result=result))).text
    assert "as the method found" in said
    assert "smaller than the checkpoint" not in said
    assert "extra parameters" not in said


def test_a_browser_shows_it_without_messages_or_requests(tmp_path: Path) -> None:
    found = browser.find_browser()
    if found is None:
        pytest.skip("this machine has no Chromium (apt-get install chromium)")
    with browser.request_recorder() as (address, asked):
        (tmp_path / "report.html").write_text(page(hostile(address)), encoding="utf-8")
        seen = browser.load_page(found, tmp_path / "report.html", tmp_path / "profile")
        assert (seen.console, asked) == ([], [])
        assert seen.dom.count("<svg") == 11
        (tmp_path / "open.html").write_text(f'<img src="{address}/image"><script>console.log("heard")</script>')
        control = browser.load_page(found, tmp_path / "open.html", tmp_path / "profile")
        assert len(control.console) == 1
        assert "/image" in asked


def test_a_requested_density_of_single_matrices_is_shown_next_to_the_measured_one() -> None:
    label = "Requested and reached density"
    assert label not in Elements(page(numbers())).tables
    given = numbers()
    for row in given["matrices"]:
        named = row["layer"] == "0"
        row |= {"density_asked": 0.25 if named else None, "asked_by": "<b>.0.*" if named else None}
    shown = Elements(page(given))
    heading, first, *_, last = shown.tables[label]
    assert heading == ["matrix", "pattern", "asked", "got", "kept"]
    assert first[:3] == ["bert.encoder.layer.0.attention.self.query", "<b>.0.*", "25 %"]
    assert first[3] == "10 %"
    assert last[0] == "66 others"
    assert len(shown.tables[label]) == 1 + 6 + 1
    assert "25 % asked by <b>.0.*" in shown.text
