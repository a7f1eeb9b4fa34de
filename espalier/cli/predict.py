"""``espalier predict``: predictions of a finished job over HTTP, or of a mask file on this machine."""

import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from espalier.cli.ids import JOB, LAST, resolve
from espalier.cli.output import fail
from espalier.cli.prediction_file import PredictionFile, by_mask, open_rows
from espalier.cli.service_context import ServiceContext, with_service

if TYPE_CHECKING:
    from espalier.client.prediction_rows import TextColumns

    Check = Callable[[TextColumns], PredictionFile]

_JOB = re.compile(r"job_[0-9a-z]{1,36}")


@with_service
def predict(
    context: ServiceContext,
    job_or_mask: Annotated[str, typer.Argument(metavar="JOB|MASK", help="Id of a job, its beginning or last; or a mask file.")],
    texts: Annotated[list[str] | None, typer.Argument(help="Texts; default: the lines of standard input.")] = None,
    pairs: Annotated[
        list[str] | None, typer.Option("--pair", help="Second text of each, for tasks on two columns; once per text.")
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file",
            metavar="FILE",
            help="In place of texts a file of rows with the task's text columns: .jsonl, .csv, .tsv "
            "(also .gz) or .parquet; - reads JSON Lines from standard input.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="For --file: .jsonl, .csv or .tsv; default: JSON Lines are printed."),
    ] = None,
    texts_per_request: Annotated[
        int, typer.Option(min=1, help="For --file and a job: rows of a request; fewer are sent where the service takes fewer.")
    ] = 64,
    models_dir: Annotated[
        Path | None, typer.Option(envvar="ESPALIER_MODELS_DIR", help="For a mask: folder of local models.")
    ] = None,
) -> None:
    """Print predictions of a pruned model: one line per text, the label and its probability. With

    --file each row is written with its prediction added; the output appears once it is complete.

    Example: espalier predict job_01jd3 "a film to remember"

    Example: espalier predict job_01jd3 --file rows.jsonl -o predicted.jsonl
    """
    is_job = (job_or_mask == LAST or _JOB.fullmatch(job_or_mask)) and not Path(job_or_mask).exists()
    if file is not None:
        given = {"TEXTS": texts, "--pair": pairs, "--json": context.as_json}
        if extra := next((name for name, value in given.items() if value), None):
            raise typer.BadParameter(f"{extra} is for texts; a file has rows, and the name after -o decides their format")
        with open_rows(file, output) as check:
            if is_job:
                _file_by_service(context, job_or_mask, check, texts_per_request)
            else:
                _file_here(Path(job_or_mask), check, models_dir)
        return
    if output is not None:
        raise typer.BadParameter("--output is for --file", param_hint="--output")
    firsts = texts or _lines_of_stdin()
    if pairs and len(pairs) != len(firsts):
        raise typer.BadParameter(f"{len(firsts)} texts need as many second ones, not {len(pairs)}", param_hint="--pair")
    if not firsts:
        raise typer.BadParameter("give at least one text", param_hint="TEXTS")
    here = None if is_job else Path(job_or_mask)
    rows = _by_service(context, job_or_mask, firsts, pairs) if here is None else _here(here, firsts, pairs, models_dir)
    if context.as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(_line(row))


def _lines_of_stdin() -> list[str]:
    """Lines of standard input: in the terminal's encoding when typed, in UTF-8 when piped. Raises typer.BadParameter."""
    if sys.stdin.isatty():
        return [line.rstrip("\n") for line in sys.stdin]
    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"standard input is not UTF-8 (byte {error.start})", param_hint="TEXTS") from error
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []


def _by_service(context: ServiceContext, job: str, firsts: list[str], pairs: list[str] | None) -> list[dict[str, Any]]:
    with context.client() as client:
        job = resolve(client, JOB, job)
        texts: list[str | tuple[str, ...] | list[str]] = list(zip(firsts, pairs, strict=True)) if pairs else list(firsts)
        return [prediction.model_dump() for prediction in client.predict(job, texts)]


def _file_by_service(context: ServiceContext, job: str, check: "Check", texts_per_request: int) -> None:
    with context.client() as client:
        job = resolve(client, JOB, job)
        rows = check(client.text_columns(job))
        rows.write(partial(client.predict_rows, job, texts_per_request=texts_per_request))


def _file_here(mask: Path, check: "Check", models_dir: Path | None) -> None:
    from pruning.errors import PruningError

    try:
        columns, predict = by_mask(mask, models_dir)
    except ImportError as missing:
        fail(str(missing), code=2)
    except PruningError as error:
        fail(f"{error.message} ({error.code})", code=1)
    check(columns).write(predict)


def _here(mask: Path, firsts: list[str], pairs: list[str] | None, models_dir: Path | None) -> list[dict[str, Any]]:
    from espalier.inference.loading import load_pruned
    from pruning.errors import PruningError

    try:
        pruned = load_pruned(mask, models_dir=models_dir)
        return [asdict(prediction) for prediction in pruned.predictions(firsts, pairs or None)]
    except ImportError as missing:
        fail(str(missing), code=2)
    except PruningError as error:
        fail(f"{error.message} ({error.code})", code=1)
    except ValueError as shape:
        fail(f"{shape}; the second ones are given by --pair", code=2)


def _line(row: dict[str, Any]) -> str:
    """``positive 0.98``, the labels of a multilabel task with theirs, entities, or the number or answer alone."""
    if row.get("entities") is not None:
        return ", ".join(f"{entity['text']} ({entity['type']})" for entity in row["entities"]) or "-"
    if row.get("labels") is not None:
        return ", ".join(f"{name} {row['probabilities'][name]:.4f}" for name in row["labels"]) or "-"
    if row["label"] is None:
        return f"{row['value']:.4f}" if isinstance(row["value"], float) else str(row["value"])
    return f"{row['label']}\t{row['probabilities'][row['label']]:.4f}"
