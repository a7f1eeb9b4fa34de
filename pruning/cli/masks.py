"""``python -m pruning evaluate`` and ``export``: the commands on a finished mask.

Called by :mod:`pruning.cli.main`.
"""

import argparse

from pruning.cli.environment import silence_libraries, sources_from_arguments, use_passive_threads, watch_stdin
from pruning.cli.program import EventWriter, exit_code_of
from pruning.errors import PermanentError, TemporaryError
from pruning.events import EvaluationEvent, ExitCode, FinishedEvent
from pruning.export import results


def run_evaluate(arguments: argparse.Namespace) -> ExitCode:
    """The ``evaluate`` command: one JSON object, the metrics."""
    use_passive_threads()
    emit = EventWriter()

    def work() -> None:
        from pruning.inference.pruned_model import evaluate_mask, load_pruned

        silence_libraries()
        sources = sources_from_arguments(arguments)
        pruned = load_pruned(arguments.mask, model=arguments.model, sources=sources)
        metrics = evaluate_mask(pruned, sources)
        emit(EvaluationEvent(step=0, stage="final", remaining=pruned.info.density, metrics=metrics))

    return exit_code_of(work, emit)


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
        from pruning.export.run import run_exports

        silence_libraries()
        entries = run_exports(
            arguments.mask, arguments.to, arguments.out, model=arguments.model, sources=sources_from_arguments(arguments),
            weights=arguments.weights, archive=arguments.archive, emit=emit,
        )  # fmt: skip
        failed = [(one.format, one.error) for one in entries if one.error is not None]
        for name, error in sorted(failed, key=lambda each: each[1].retryable):
            kind = TemporaryError if error.retryable else PermanentError
            raise kind(f"{name}: {error.message}", code=error.code, param="exports")
        figures = results.read(arguments.out)
        assert figures is not None  # noqa: S101 - written by run_exports
        emit(FinishedEvent(metrics=figures.model_dump(mode="json")))

    return exit_code_of(work, emit)
