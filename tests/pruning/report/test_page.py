"""The page is one file that loads nothing, says everything twice (drawn and as a table), and cannot be injected into."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pruning.report.page import page
from tests import browser
from tests.pruning.report.examples import numbers

EVIL = """</title></style></pre>"'><script>alert(1)</script><img src=x onerror=alert(1)><svg/onload=alert(1)>"""
BIG = page(numbers())


class Elements(HTMLParser):
    """Every start tag with its attributes, and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data


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
    made["versions"] = {evil: evil}
    return made


def test_a_bert_base_stays_small() -> None:
    assert len(BIG.encode()) < 300_000


def test_nothing_is_loaded_and_nothing_runs() -> None:
    elements = Elements(BIG)
    names = {name for name, _ in elements.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    for _, attributes in elements.tags:
        assert not attributes.keys() & {"src", "href", "style", "srcset"}
        assert not any(name.startswith("on") for name in attributes)
    assert "url(" not in BIG
    assert "@import" not in BIG
    assert """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-""" in BIG


def test_names_from_users_stay_text() -> None:
    found, plain = Elements(page(hostile())), Elements(BIG)
    assert {name for name, _ in found.tags} - {name for name, _ in plain.tags} == {"span"}  # the verdict on an export
    assert not any(attributes.keys() & {"src", "onerror", "onload"} for _, attributes in found.tags)
    assert found.text.count("<script>alert(1)</script>") >= 15


def test_every_drawing_says_what_it_shows_and_has_a_table() -> None:
    drawings = re.findall(r"<svg(.*?)>(.*?)</svg>", BIG, re.DOTALL)
    assert len(drawings) == 11
    names = [re.search(r'aria-labelledby="(\S+) (\S+)"', attributes) for attributes, _ in drawings]
    ids = [name for found in names if found for name in found.groups()]
    assert len(set(ids)) == 2 * len(drawings)
    assert all(BIG.count(f'id="{name}"') == 1 for name in ids)
    assert BIG.count("<summary>As a table</summary>") == len(drawings)
    assert len(re.findall(r"bert\.encoder\.layer\.\d+\.[a-z.]+</th>", BIG)) >= 72
    assert BIG.count(", head ") >= 144


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"heads": []}, "not divided into heads"),
        ({"curves": {"step": [], "resumed": [], "stride": 1}}, "there are no steps to show"),
        ({"exports": None}, "No export was asked for"),
        ({"scores": [{"split": "validation", "rows": 3, "metrics": {}, "f1_histogram": [1] * 10}]}, "Questions by the F1"),
        ({"scores": [{"split": "validation", "rows": 2, "metrics": {}, "points": [[1.0, 2.0], [3.0, None]]}]}, "Predicted against"),
        ({"scores": [{"split": "validation", "rows": 2, "metrics": {}, "confusion": None}]}, "too many classes"),
        ({"exports": [{"format": "onnx", "artifact": "model.onnx", "bytes": 5, "verdict": "as fast", "equal": 1.0,
                       "latency": [{"batch": 1, "tokens": 128, "before_ms": 80.0, "after_ms": 40.0, "factor": 2.0}]}]}, "2.00 ×"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said(changes: dict[str, Any], said: str) -> None:
    assert said in page(numbers(**changes))


def test_a_browser_shows_it_without_a_word_and_asks_nobody(tmp_path: Path) -> None:
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
