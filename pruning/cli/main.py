"""Argument parser of ``python -m pruning``: its commands, their options, and the functions that run them.

    python -m pruning train --spec spec.json --work DIR [--models-dir D] [--datasets-dir D] [--no-hub]
        [--token-file F] [--watch-stdin] [--export FORMAT]...
        [--token-cache D] [--token-cache-bytes N] [--init-mask mask.safetensors]
    python -m pruning evaluate --mask mask.safetensors [--dataset NAME] [--split NAME] [--rows N] [--dense] [--out DIR] [...]
    python -m pruning serve-predictions [--masks N] [...]
    python -m pruning export --mask mask.safetensors --to FORMAT [--to FORMAT] --out DIR [--archive] [--model FOLDER] [...]

See :mod:`pruning.events` for the lines and the codes.
"""

import argparse
from pathlib import Path

from pruning.cli.masks import run_evaluate, run_export
from pruning.cli.serve_predictions import run_serve_predictions
from pruning.cli.train import run_train
from pruning.spec.export_formats import FORMATS

_COMMANDS = {"train": run_train, "evaluate": run_evaluate, "export": run_export, "serve-predictions": run_serve_predictions}


def _bytes(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must be 0 (keep nothing) or more")
    return number


def _rows(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pruning", description="Train and use masks, without any service.")
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train the scores of a spec; JSON lines on standard output")
    train.add_argument("--spec", type=Path, required=True, help="JSON file with a PruningSpec")
    train.add_argument(
        "--work", type=Path, required=True, help="folder for checkpoints and artifacts; data sets in its uploads/ come first"
    )
    train.add_argument("--init-mask", type=Path, help="mask file to start from; a spec without init_from gets its SHA-256")
    train.add_argument("--watch-stdin", action="store_true", help="exit when standard input is closed")
    train.add_argument("--launcher", type=int, help=argparse.SUPPRESS)  # rank started by torchrun
    train.add_argument("--token-cache", type=Path, help="folder where tokenized rows are kept for later runs")
    train.add_argument("--token-cache-bytes", type=_bytes, default=1024**3, help="limit of the bytes kept there")
    evaluate = commands.add_parser(
        "evaluate", help="evaluate a mask on its task's validation rows, another split or another data set"
    )
    evaluate.add_argument("--mask", type=Path, required=True)
    evaluate.add_argument("--model", type=Path, help="folder of the base model; default: by the name in the mask")
    evaluate.add_argument("--dataset", help="another data set with the task's columns; default: the task's own")
    evaluate.add_argument("--config", help="configuration of a hub data set")
    evaluate.add_argument("--split", help="default: the rows that the training validated on")
    evaluate.add_argument("--rows", type=_rows, help="evaluate on the first rows alone")
    evaluate.add_argument("--dense", action="store_true", help="evaluate the dense model as well")
    evaluate.add_argument("--out", type=Path, help="folder for evaluation.json and predictions.jsonl")
    evaluate.add_argument("--uploads-dir", type=Path, help="folder of uploaded data sets, searched before the others")
    evaluate.add_argument("--watch-stdin", action="store_true", help="exit when standard input is closed")
    export = commands.add_parser("export", help="export a mask and its base model in other formats, measured before and after")
    export.add_argument("--mask", type=Path, required=True)
    export.add_argument("--model", type=Path, help="folder of the base model; default: by the name in the mask")
    export.add_argument("--weights", type=Path, help="weights.safetensors of the job; default: in the mask's folder")
    export.add_argument("--to", action="append", choices=tuple(FORMATS), required=True, help="may be given again")
    export.add_argument("--uploads-dir", type=Path, help="folder of uploaded data sets, searched before the others")
    export.add_argument("--out", type=Path, required=True, help="folder for the exports and exports.json")
    export.add_argument("--archive", action="store_true", help="a file export-FORMAT.zip instead of a folder FORMAT")
    export.add_argument("--watch-stdin", action="store_true", help="exit when standard input is closed")
    serving = commands.add_parser("serve-predictions", help="predict on texts: a JSON line per request, a JSON line per response")
    serving.add_argument("--masks", type=int, default=8, help="masks that are kept in memory")
    serving.add_argument("--idle-seconds", type=float, default=600, help="end after this many seconds without a request")
    serving.add_argument("--memory-bytes", type=int, help="limit of the process's private memory, in bytes")
    for command in (train, evaluate, export, serving):
        command.add_argument("--models-dir", type=Path, help="folder of model folders, searched before the hub")
        command.add_argument("--datasets-dir", type=Path, help="folder of data set folders, searched before the hub")
        command.add_argument("--token-file", type=Path, help="file with the hub token, for private and gated models")
        command.add_argument("--no-hub", action="store_true", help="do not use the hub")
        command.add_argument("--hub-model-bytes", type=_bytes, help="largest model that is downloaded; default: any")
    train.add_argument("--export", dest="exports", action="append", choices=tuple(FORMATS), help="made of the mask at the end")
    return parser.parse_args()


def main() -> int:
    """Run the command that the arguments name; its exit code."""
    arguments = _arguments()
    return _COMMANDS[arguments.command](arguments)
