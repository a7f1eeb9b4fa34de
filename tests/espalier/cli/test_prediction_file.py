"""``espalier predict --file``: files in, files out, and nothing half-written."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from espalier import load_pruned
from espalier.cli.main import app
from tests.api.conftest import Jobs
from tests.espalier.predicting_service import predicting_service
from tests.pruning.runs import make_sources, run_toy

ROWS = [{"id": i, "sentence": f"text{i}"} for i in range(150)]


@pytest.fixture
def at(jobs: Jobs, tmp_path: Path) -> Iterator[str]:
    with predicting_service(tmp_path, jobs, predictions_max_characters=2000) as url:
        yield url


def run(*arguments: str, given: bytes = b"") -> Any:
    return CliRunner().invoke(app, ["predict", *arguments], input=given)


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.mark.slow
def test_jsonl_in_jsonl_out(at: str, jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.succeeded()
    source, target = tmp_path / "rows.jsonl.gz", tmp_path / "out.jsonl"
    source.write_bytes(gzip.compress(lines(ROWS)))
    done = run(job, "--file", str(source), "-o", str(target), "--url", at)
    assert (done.exit_code, done.output) == (0, "")
    found = [json.loads(line) for line in target.read_text().splitlines()]
    assert [{name: row[name] for name in ("id", "sentence")} for row in found] == ROWS
    assert [row["prediction"]["label"].split()[-1] for row in found] == [row["sentence"] for row in ROWS]
    assert found[0]["prediction"].keys() == {"value", "label", "probabilities"}
    assert len({row["prediction"]["value"] for row in found}) == 3
    assert target.stat().st_mode & 0o777 == 0o644
    piped = run(job, "--file", "-", "--url", at, given=lines(ROWS[:2]))
    assert [json.loads(line)["id"] for line in piped.stdout.splitlines()] == [0, 1]


def test_tsv_in_csv_out(at: str, jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.succeeded()
    source, target = tmp_path / "rows.tsv", tmp_path / "out.csv"
    source.write_text("sentence\tstars\nfine, really\t5\ndull\t\n")
    done = run(job, "--file", str(source), "-o", str(target), "--url", at)
    assert done.exit_code == 0, done.output
    first, second = csv.DictReader(io.StringIO(target.read_text()))
    assert (first["sentence"], first["stars"], second["stars"]) == ("fine, really", "5", "")
    assert first["prediction.label"].endswith("fine, really")
    assert json.loads(second["prediction.probabilities"]) == {"a": 1.0}


@pytest.mark.slow
def test_what_cannot_be_used_is_refused_before_the_first_request(at: str, jobs: Jobs, tmp_path: Path) -> None:
    job, target = jobs.succeeded(), tmp_path / "out.jsonl"
    source = tmp_path / "rows.jsonl"
    for content, words in (
        (lines([{"sentence": "a"}, {"text": "b"}]), "row 2 has no column 'sentence'"),
        (lines([{"sentence": "a"}] * 99) + b"{\n", "row 100 of"),
        (b'{"sentence": "a", "x": NaN}\n', "row 1 holds a number"),
        (lines([{"sentence": "a", "prediction": 1}]), "has a column 'prediction' already"),
        (b"", "has no rows"),
    ):
        source.write_bytes(content)
        done = run(job, "--file", str(source), "-o", str(target), "--url", at)
        assert done.exit_code == 2
        assert words in " ".join(done.output.replace("│", " ").split()), done.output
    for arguments in (
        ["--file", str(source), "-o", str(source)],
        ["--file", str(source), "-o", str(tmp_path / "out.parquet")],
        ["--file", str(source), "-o", str(tmp_path / "none" / "out.csv")],
        ["--file", str(tmp_path / "none.csv")],
        ["--file", str(source), "--json"],
        ["a text", "--file", str(source)],
        ["a text", "-o", str(target)],
    ):
        assert run(job, *arguments, "--url", at).exit_code == 2, arguments
    assert not target.exists()


@pytest.mark.parametrize("end", ["refusal", "interrupt"])
def test_what_ends_early_leaves_nothing(at: str, jobs: Jobs, tmp_path: Path, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    job, folder = jobs.succeeded(), tmp_path / "out"
    folder.mkdir()
    (folder / "out.jsonl").write_text("of before")
    rows: list[dict[str, Any]] = [*ROWS[:70], {"sentence": "a" * (2001 if end == "refusal" else 1)}, *ROWS[70:]]
    (tmp_path / "rows.jsonl").write_bytes(lines(rows))
    if end == "interrupt":
        dumps = json.dumps

        def interrupted(value: Any, **options: Any) -> str:
            if isinstance(value, dict) and "prediction" in value and value["sentence"] == "a":
                assert len(list(folder.iterdir())) == 2, "the temporary file is there"
                raise KeyboardInterrupt
            return dumps(value, **options)

        monkeypatch.setattr("espalier.cli.prediction_file.json.dumps", interrupted)
    done = run(job, "--file", str(tmp_path / "rows.jsonl"), "-o", str(folder / "out.jsonl"), "--url", at)
    if end == "refusal":
        assert str(done.exception).startswith("row 71: ")
    else:
        assert done.exit_code != 0
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("out.jsonl", "of before")]


def test_a_mask_file_predicts_as_it_does_on_single_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = make_sources(tmp_path / "toys")
    run_toy(sources, tmp_path / "run", max_steps=2)
    mask = tmp_path / "run" / "artifacts" / "mask.safetensors"
    monkeypatch.setenv("ESPALIER_MODELS_DIR", str(sources.models_dir))
    rows = [{"sentence": f"a fine film {i}" if i % 3 else "dull"} for i in range(70)]
    (tmp_path / "rows.jsonl").write_bytes(lines(rows))
    done = run(str(mask), "--file", str(tmp_path / "rows.jsonl"))
    assert done.exit_code == 0, done.output
    found = [json.loads(line)["prediction"] for line in done.stdout.splitlines()]
    alone = load_pruned(mask, models_dir=sources.models_dir)
    for row, prediction in list(zip(rows, found, strict=True))[::7]:
        (expected,) = alone.predictions(row["sentence"])
        assert (prediction["value"], prediction["label"]) == (expected.value, expected.label)
        assert prediction["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
