"""``python -m pruning``: arguments, the event lines on standard output, exit codes; nothing else.

    python -m pruning train --spec spec.json --work DIR [--models-dir D] [--datasets-dir D] [--no-hub]
        [--token-file F] [--watch-stdin]
    python -m pruning evaluate --mask mask.safetensors [--model FOLDER] [...]

See :mod:`pruning.events` for the lines and the codes.
"""

import argparse
import sys
from pathlib import Path

from pruning.program import run_evaluate, run_train


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pruning", description="Train and use masks, without any service.")
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train the scores of a spec; JSON lines on standard output")
    train.add_argument("--spec", type=Path, required=True, help="JSON file with a PruningSpec")
    train.add_argument("--work", type=Path, required=True, help="folder for checkpoints and artifacts")
    train.add_argument("--watch-stdin", action="store_true", help="end at once when standard input is closed")
    evaluate = commands.add_parser("evaluate", help="evaluate a mask on its task's validation rows")
    evaluate.add_argument("--mask", type=Path, required=True)
    evaluate.add_argument("--model", type=Path, help="folder of the base model; default: by the name in the mask")
    for command in (train, evaluate):
        command.add_argument("--models-dir", type=Path, help="folder of model folders, looked at before the hub")
        command.add_argument("--datasets-dir", type=Path, help="folder of data set folders, looked at before the hub")
        command.add_argument("--token-file", type=Path, help="file with the hub token, for private and gated models")
        command.add_argument("--no-hub", action="store_true", help="never ask the hub")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = _arguments()
    sys.exit(run_train(arguments) if arguments.command == "train" else run_evaluate(arguments))
