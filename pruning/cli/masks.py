"""``python -m pruning evaluate`` and ``export``: the commands on a finished mask.

Called by :mod:`pruning.cli.main`.
"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pruning.cli.environment import quick_imports, silence_libraries, sources_from_arguments, use_passive_threads, watch_stdin
from pruning.cli.program import EventWriter, exit_code_of
from pruning.data.evaluation_checks import evaluation_fields
from pruning.errors import PermanentError, TemporaryError
from pruning.events import ArtifactEvent, ExitCode, FinishedEvent
from pruning.export import results

if TYPE_CHECKING:
    from pruning.inference.evaluation import MaskEvaluation

EVALUATION = "evaluation.json"


def run_evaluate(arguments: argparse.Namespace) -> ExitCode:
    """The ``evaluate`` command: the metrics as events, and with ``--out`` ``evaluation.json`` and the predictions of every row."""
    use_passive_threads()
    emit = EventWriter()
    if arguments.watch_stdin:
        watch_stdin()

    def work() -> None:
        with quick_imports():
            from pruning.inference.evaluation import EvaluationRows, run_evaluation

            silence_libraries()
        chosen = EvaluationRows(arguments.dataset, arguments.config, arguments.split, arguments.rows)
        sources = sources_from_arguments(arguments)
        with evaluation_fields():
            found, result = run_evaluation(arguments.mask, chosen, sources, emit, model=arguments.model, dense=arguments.dense)
        if arguments.out is not None:
            _write_evaluation(arguments.out, found, result, emit)
        emit(FinishedEvent(metrics=result))

    return exit_code_of(work, emit)


def _write_evaluation(out: Path, found: "MaskEvaluation", result: dict[str, Any], emit: EventWriter) -> None:
    from pruning.evaluation.evaluate import PREDICTIONS, PREDICTIONS_MEDIA_TYPE, write_predictions

    out.mkdir(parents=True, exist_ok=True)
    path, predictions = out / EVALUATION, out / PREDICTIONS
    write_predictions(predictions, found.task.kind, found.splits, found.evaluations)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    emit(ArtifactEvent.from_file(predictions, PREDICTIONS_MEDIA_TYPE))
    emit(ArtifactEvent.from_file(path, "application/json"))


def run_export(arguments: argparse.Namespace) -> ExitCode:
    """The ``export`` command: a folder or archive for each format, ``exports.json``, and its content as the last line.

    Formats that failed decide the exit code, once all were tried: the first for which another attempt is pointless, else
    the first.
    """
    use_passive_threads()
    emit = EventWriter()
    if arguments.watch_stdin:
        watch_stdin()

    def work() -> None:
        with quick_imports():
            from pruning.export.run import run_exports

            silence_libraries()
        entries = run_exports(
            arguments.mask,
            arguments.to,
            arguments.out,
            model=arguments.model,
            sources=sources_from_arguments(arguments),
            weights=arguments.weights,
            archive=arguments.archive,
            emit=emit,
        )
        failed = [(one.format, one.error) for one in entries if one.error is not None]
        for name, error in sorted(failed, key=lambda each: each[1].retryable):
            kind = TemporaryError if error.retryable else PermanentError
            raise kind(f"{name}: {error.message}", code=error.code, param="exports")
        figures = results.read(arguments.out)
        assert figures is not None  # noqa: S101 - written by run_exports
        emit(FinishedEvent(metrics=figures.model_dump(mode="json")))

    return exit_code_of(work, emit)
