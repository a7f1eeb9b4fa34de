"""Latency of every export against the dense model, for batches of 1 and 8 at 32 and 128 tokens.

    python -m benchmarks.inference [--json] [--shape demo|bert-base] [--model FOLDER] [--mask FILE] [--remaining 0.1 0.03]
        [--kind uneven|even] [--to FORMAT ...] [--out FILE]

Without ``--mask`` masks are made, by default uneven ones (``benchmarks/masks.py``): for the demo's model, for any ``--model``, or
for random weights in the shape of BERT-base, whose latency is that of trained ones. A model that reads fewer than 128 tokens
(the demo's reads 64) is measured at 32 only. Prints a line per export and size (not with ``--json``); the last line is one JSON
object of milliseconds and factors.
"""

import argparse
import json
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertForMaskedLM
from transformers.utils import logging

from benchmarks import masks as made
from pruning.export.run import run_exports
from pruning.formats import mask_file
from pruning.hub.models import ModelFolder
from pruning.masking.wrap import prunable_linears
from pruning.models.label_words import label_word_ids
from pruning.models.loading import load_model, weights_digest
from pruning.sources import Sources
from pruning.spec.export_formats import FORMATS, parse_formats
from pruning.spec.schema import PruningSpec
from pruning.training.run import library_versions

DEMO = Path(__file__).parents[1] / "demo" / "models" / "espalier-demo-mlm"
WORDS = ("terrible", "great")
DEFAULT = ("compact", "csr", "onnx", "onnx-int8")


def main() -> None:
    """Measure every case."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        model = arguments.model or (DEMO if arguments.shape == "demo" else _random_bert(work / "bert-base"))
        for case, mask in _cases(arguments, model, work):
            entries = run_exports(mask, parse_formats(arguments.to), work / case, model=model, sources=Sources(hub=False))
            results[case] = {entry.format: entry.model_dump(mode="json", exclude={"format"}) for entry in entries}
            shutil.rmtree(work / case)
            _keep(arguments, results)
            if not arguments.json:
                for entry in entries:
                    print(f"{case:14}  {entry.format:10}  {entry.bytes}  {entry.verdict}", flush=True)
    print(json.dumps(results))


def _keep(arguments: argparse.Namespace, results: dict[str, Any]) -> None:
    """Write what is known so far to ``--out``: a whole run in the shape of BERT-base takes half an hour."""
    if arguments.out is None:
        return
    about = {
        "command": "python -m benchmarks.inference " + arguments.shown,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": arguments.machine,
        "threads": arguments.threads,
        "versions": library_versions(),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(arguments.out.read_text()) if arguments.out.is_file() else {}
    shape = arguments.model.name if arguments.model else arguments.shape
    arguments.out.write_text(json.dumps({**kept, shape: {**about, "results": results}}, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference")
    parser.add_argument("--json", action="store_true", help="print the last line only")
    parser.add_argument("--shape", choices=("demo", "bert-base"), default="demo")
    parser.add_argument("--model", type=Path, help="folder of another model")
    parser.add_argument("--mask", type=Path, help="a mask of that model, instead of made ones")
    parser.add_argument("--remaining", type=float, nargs="+", default=[0.1, 0.03], help="shares of the weights kept")
    parser.add_argument("--kind", choices=("uneven", "even"), default="uneven")
    parser.add_argument("--to", nargs="+", choices=tuple(FORMATS), default=list(DEFAULT))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="keep the result in this file as well, in addition to those of other shapes")
    parser.add_argument("--machine", help="kind of machine, in general words, for --out")
    arguments = parser.parse_args()
    arguments.shown = f"--shape {arguments.shape} --kind {arguments.kind} --threads {arguments.threads}"
    arguments.shown += " --remaining " + " ".join(map(str, arguments.remaining))
    if arguments.mask:
        arguments.shown = "--model FOLDER --mask FILE"
    return arguments


def _cases(arguments: argparse.Namespace, model: Path, work: Path) -> list[tuple[str, Path]]:
    if arguments.mask:
        return [("given", arguments.mask)]
    cases = []
    for share in arguments.remaining:
        path = work / f"{share}.safetensors"
        _write_mask(path, model, share, made.uneven if arguments.kind == "uneven" else made.even)
        cases.append((f"{arguments.kind} {share}", path))
    return cases


def _write_mask(path: Path, model: Path, share: float, make: Any) -> None:
    """A made mask for the model's matrices."""
    loaded = load_model(ModelFolder(model, None), WORDS, "label-words")
    linears = prunable_linears(loaded.model)
    shapes = {name: (linear.out_features, linear.in_features) for name, linear in linears.items()}
    bits = dict(zip(shapes, make(share, tuple(shapes.values())).masks, strict=True))
    spec = PruningSpec(model="benchmark", task="sst2", sparsity=round(1 - share, 6), max_length=128)
    mask_file.write(
        path,
        bits,
        mask_file.MaskInfo(
            base_model="benchmark",
            base_digest=weights_digest(loaded.model),
            task="sst2",
            kind="classification",
            head="label-words",
            label_words=WORDS,
            label_ids=tuple(label_word_ids(loaded.tokenizer, WORDS)),
            max_length=min(128, loaded.max_positions),
            shapes=shapes,
            kept={name: int(mask.sum()) for name, mask in bits.items()},
            metrics={},
            spec=spec,
            versions=library_versions(),
        ),
    )


def _random_bert(folder: Path) -> Path:
    """BERT-base without training, and the demo's tokenizer."""
    torch.manual_seed(0)
    BertForMaskedLM(BertConfig()).save_pretrained(folder)
    for file in DEMO.glob("*token*"):
        shutil.copy(file, folder)
    about = folder / "tokenizer_config.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "model_max_length": 512}))
    return folder


if __name__ == "__main__":
    main()
