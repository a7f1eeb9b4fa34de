"""The compact mask file against the entropy of what it holds: size and time, compared with packed bits under zlib.

    python -m benchmarks.codec [--json] [--repeat N] [--out FILE]

Masks of BERT-base (72 matrices, 84,934,656 bits), even and uneven, see ``benchmarks/masks.py``. Sizes are of whole files with
metadata; times are of writing and reading them, digests included, the best of ``--repeat`` runs on one thread. Prints a table
(not with ``--json``); the last line is one JSON object.
"""

import argparse
import json
import tempfile
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.masks import Made, even, uneven
from pruning.formats import compact_file
from pruning.formats.mask_file import MaskInfo, Masks
from pruning.spec.schema import PruningSpec

CASES: dict[str, Callable[[], Made]] = {
    f"{kind.__name__} {share}": lambda kind=kind, share=share: kind(share)  # type: ignore[misc]
    for kind in (even, uneven)
    for share in (0.5, 0.1, 0.03)
}


def main() -> None:
    """Measure every case."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.codec")
    parser.add_argument("--json", action="store_true", help="print the last line only")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--out", type=Path, help="keep the result, with date and command, in this file as well")
    parser.add_argument("--machine", help="kind of machine, in general words, for --out")
    arguments = parser.parse_args()
    results = {}
    for name, make in CASES.items():
        results[name] = _measure(make(), arguments.repeat)
        if not arguments.json:
            print(f"{name:12}", *(f"{key} {value:,}" for key, value in results[name].items()), sep="  ", flush=True)
    if arguments.out:
        about = {
            "command": f"python -m benchmarks.codec --repeat {arguments.repeat}",
            "date": datetime.now(UTC).date().isoformat(),
            "machine": arguments.machine,
            "numpy": np.__version__,
        }
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps({**about, "results": results}, indent=1) + "\n")
    print(json.dumps(results))


def _measure(made: Made, repeat: int) -> dict[str, Any]:
    masks: Masks = {f"layer.{i // 6}.{'qkvoid'[i % 6]}": mask for i, mask in enumerate(made.masks)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mask.espalier"
        info = _info(masks)
        encode_seconds = _seconds(lambda: compact_file.write(path, masks, info), repeat)
        decode_seconds = _seconds(lambda: compact_file.read(path), repeat)
        got = compact_file.read(path)[0]
        assert all(np.array_equal(got[name], mask) for name, mask in masks.items())
        size = path.stat().st_size
    packed = np.packbits(np.concatenate([mask.reshape(-1) for mask in made.masks])).tobytes()
    zipped = zlib.compress(packed)
    return {
        "bytes": size,
        "entropy_bytes": round(made.entropy_bytes),
        "ratio": round(size / made.entropy_bytes, 4),
        "encode_seconds": round(encode_seconds, 2),
        "decode_seconds": round(decode_seconds, 2),
        "packed_bytes": len(packed),
        "zlib_bytes": len(zipped),
        "zlib_ratio": round(len(zipped) / made.entropy_bytes, 4),
        "zlib_encode_seconds": round(_seconds(lambda: zlib.compress(packed), 1), 2),
        "zlib_decode_seconds": round(_seconds(lambda: np.unpackbits(np.frombuffer(zlib.decompress(zipped), np.uint8)), 1), 2),
    }


def _seconds(run: Callable[[], object], repeat: int) -> float:
    """The best of a few runs."""
    best = float("inf")
    for _ in range(repeat):
        began = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - began)
    return best


def _info(masks: Masks) -> MaskInfo:
    return MaskInfo(
        base_model="bert-base-uncased",
        base_digest="0" * 64,
        task="sst2",
        kind="classification",
        head="label-words",
        label_words=("terrible", "great"),
        label_ids=(6659, 2307),
        max_length=128,
        shapes={name: (mask.shape[0], mask.shape[1]) for name, mask in masks.items()},
        kept={name: int(mask.sum()) for name, mask in masks.items()},
        metrics={},
        spec=PruningSpec(model="bert-base-uncased", task="sst2"),
        versions={},
    )


if __name__ == "__main__":
    main()
