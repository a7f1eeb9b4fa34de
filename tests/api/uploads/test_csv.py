"""CSV uploads: the dialect is recognised by the first lines, and its cells become the values that other formats have."""

from typing import Any

import pytest

from pruning.data.files.formats import FileFormat
from tests.api.uploads.split_files import faults, made


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "-2"], [1, -2]),
        (["1", "2.5"], [1.0, 2.5]),
        (["1", ""], [1, None]),
        (["007", "1"], ["007", "1"]),
        (["1", "x"], ["1", "x"]),
        (["", ""], ["", ""]),
        (["nan", "1"], ["nan", "1"]),
    ],
)
def test_cells_of_csv_become_numbers_where_all_are(cells: list[str], values: list[Any]) -> None:
    content = "text,label\n" + "".join(f"t,{cell}\n" for cell in cells)
    assert [row["label"] for row in made(FileFormat.CSV, content.encode())[1]] == values


@pytest.mark.parametrize(
    ("content", "note"),
    [
        ("text;label\ngut, sehr;1\nschlecht;0\n", "semicolon"),
        ("text\tlabel\ngut, sehr\t1\nschlecht\t0\n", "tab"),
        ("sep=;\ntext;label\ngut, sehr;1\nschlecht;0\n", "semicolon"),
        ("text|label\r\ngut, sehr|1\r\nschlecht|0\r\n", "bar"),
        ('text, label\n"gut, sehr", 1\nschlecht, 0\n', "blanks"),
        ('label,text\n1, "gut, sehr"\n0, schlecht\n', "blanks"),
        (',text,label\n0,"gut, sehr",1\n1,schlecht,0\n', "column 1 is left out"),
        ('text,label,\n"gut, sehr",1,\nschlecht,0,\n', "column 3 is left out"),
        ('text,label\n"gut, sehr",1,\nschlecht,0,\n', "empty cell at the end"),
        (' text ,label \n"gut, sehr", 1 \nschlecht,0\n', ""),
    ],
)
def test_dialects_of_csv_are_recognised_by_the_first_lines(content: str, note: str) -> None:
    _, rows, split = made(FileFormat.CSV, content.encode("utf-8-sig"))
    assert rows == [{"text": "gut, sehr", "label": 1}, {"text": "schlecht", "label": 0}]
    assert any(note in said for said in split["notes"]) if note else split["notes"] == []


@pytest.mark.parametrize("content", ["a;b,c\nx;y,z\n", "a,b;c\n1;2,3\n", ",text\nsome,x\n", "text,,label\nx,y,1\n"])
def test_a_header_that_could_mean_two_things_is_refused(content: str) -> None:
    ((code, _, _),) = faults(content.encode(), FileFormat.CSV)
    assert code == "file_unreadable"


def test_cells_are_as_long_as_rows_may_be() -> None:
    text = "x" * 140_000
    assert made(FileFormat.CSV, f"text,label\n{text},1\n".encode())[1] == [{"text": text, "label": 1}]
