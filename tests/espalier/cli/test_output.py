"""Lines for the person at a terminal: wrapped between words, and whole where a program reads them."""

import pytest

from espalier.cli.output import notify, wrap


def test_words_stay_whole_and_short_lines_as_they_are() -> None:
    text = "data set ds_1: 320 rows to train on, 80 for validation, split by text\nclasses: good, bad"
    assert wrap(text, 40).split("\n") == [
        "data set ds_1: 320 rows to train on, 80",
        "  for validation, split by text",
        "classes: good, bad",
    ]
    assert wrap(text, 80) == text


def test_ids_and_addresses_are_not_broken() -> None:
    address = "http://127.0.0.1:8000/jobs/job_01jd3xk5m8v6q2zr9w4t7y1n0b"
    assert wrap(f"open {address}", 20).split() == ["open", address]


def test_what_is_read_by_a_program_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    notify("word " * 60)
    assert capsys.readouterr().err == "word " * 60 + "\n"
