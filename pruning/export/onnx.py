"""ONNX files of the whole classifier, in float32 or with 8-bit weights, for any batch size and length.

Written by torch's exporter that reads the program (``dynamo=True``). The older one, which traces an example, was tried and gave
wrong logits on padded batches of every model: it drops the attention mask when the example has no padding. 8-bit weights come
from onnxruntime's dynamic quantisation: activations are quantised as they come, nothing is calibrated. That is not exact: how
many predictions stay the same and how far logits move is measured on rows of the task and reported.
"""

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pruning.errors import PermanentError
from pruning.spec.export_formats import FORMATS

MODEL = "model.onnx"
_LARGEST = 2 * 10**9
"""Bytes that one file can have, by its format."""


class _Positional(nn.Module):
    """The exporter names inputs by position."""

    def __init__(self, head: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.head, self.names = head, tuple(names)

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(**dict(zip(self.names, tensors, strict=True)))
        return logits


def require_packages() -> None:
    """Raises PermanentError (``export_packages_missing``) without the ``onnx`` extra."""
    missing = [name for name in FORMATS["onnx"].packages if find_spec(name) is None]
    if missing:
        raise PermanentError(
            f"ONNX exports need {', '.join(missing)} where the job runs: pip install 'espalier-pruning[onnx]'",
            code="export_packages_missing",
            param="exports",
        )


def write_onnx(head: nn.Module, names: Sequence[str], path: Path, notes: dict[str, str]) -> None:
    """Write ``head`` (float32, on the processor) to ``path``.

    Inputs ``names``, int64 [batch, tokens]; output ``logits`` [batch, classes], for spans [batch, tokens, 2]; ``notes`` go
    into the file's metadata. Raises PermanentError without the packages or where a file would be too large.
    """
    require_packages()
    size = sum(parameter.numel() * parameter.element_size() for parameter in head.parameters())
    if size > _LARGEST:
        raise PermanentError(
            f"the model has {size} bytes of weights, an ONNX file holds {_LARGEST}; leave the export out",
            code="export_unsupported",
            param="exports",
        )
    ids = torch.full((2, 8), 3, dtype=torch.int64)
    attention = torch.ones_like(ids)
    attention[1, 5:] = 0
    given = {"input_ids": ids, "attention_mask": attention, "token_type_ids": torch.zeros_like(ids)}
    batch, tokens = torch.export.Dim("batch"), torch.export.Dim("tokens")
    with _silenced():
        program: Any = torch.onnx.export(
            _Positional(head, names).eval(),
            tuple(given[name] for name in names),
            dynamo=True,
            verbose=False,
            input_names=list(names),
            output_names=["logits"],
            dynamic_shapes={"tensors": tuple({0: batch, 1: tokens} for _ in names)},
        )
    program.model.metadata_props.update(notes)
    program.save(str(path), external_data=False)


def write_int8(head: nn.Module, names: Sequence[str], path: Path, notes: dict[str, str]) -> None:
    """Write the file of :func:`write_onnx` with every weight matrix in 8 bits and a scale for each output."""
    require_packages()
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        dense = Path(folder) / "dense.onnx"
        write_onnx(head, names, dense, notes)
        logging.getLogger().addFilter(_is_no_advice)  # it recommends preprocessing for convolutions, through the root logger
        try:
            quantize_dynamic(dense, path, weight_type=QuantType.QInt8, per_channel=True)
        finally:
            logging.getLogger().removeFilter(_is_no_advice)


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Context that silences the exporter's prints, log lines and warnings about packages that it does not need."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _is_no_advice(record: logging.LogRecord) -> bool:
    return "pre-processing" not in record.getMessage()


class OnnxHead(nn.Module):
    """An ONNX file under onnxruntime, in the place of a head: tensors in, logits out."""

    def __init__(self, path: Path) -> None:
        require_packages()
        import onnxruntime

        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads must not spin
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._names = [value.name for value in self._session.get_inputs()]

    def forward(self, **inputs: torch.Tensor) -> torch.Tensor:
        given = {name: inputs[name].numpy() for name in self._names}
        return torch.from_numpy(self._session.run(None, given)[0])
