"""8-bit weights by onnxruntime's dynamic quantisation: activations are quantised as they come, nothing is calibrated.

Not exact: how many predictions stay the same and how far logits move is measured on rows of the task and told.
"""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from pruning.export.onnx import require_packages, write_onnx


def write_int8(head: nn.Module, names: Sequence[str], path: Path, notes: dict[str, str]) -> None:
    """As :func:`pruning.export.onnx.write_onnx`, every weight matrix in 8 bits with a scale for each output."""
    require_packages()
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        dense = Path(folder) / "dense.onnx"
        write_onnx(head, names, dense, notes)
        logging.getLogger().addFilter(
            _no_advice
        )  # it recommends preprocessing for convolutions, through the root logger
        try:
            quantize_dynamic(dense, path, weight_type=QuantType.QInt8, per_channel=True)
        finally:
            logging.getLogger().removeFilter(_no_advice)


def _no_advice(record: logging.LogRecord) -> bool:
    return "pre-processing" not in record.getMessage()
