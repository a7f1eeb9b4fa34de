"""Exports of one mask: each is written, loaded again, compared with the dense model and timed against it.

Called by ``python -m pruning export`` and ``espalier export``. An export that fails becomes an entry with the reason; the others
are made nevertheless.
"""

import copy
import errno
import shutil
import tempfile
import traceback
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError

from pruning.errors import PermanentError, PruningError, StoppedError, TemporaryError, failed_write
from pruning.events import ArtifactEvent, EventSink, LogEvent, PhaseEvent
from pruning.export import benchmark, model_card, results
from pruning.export.build import ExportSource, write_export
from pruning.export.huggingface import load_folder, write_folder
from pruning.export.load import load_export
from pruning.export.results import ExportEntry
from pruning.export.verify import ComparisonRows, compare, comparison_rows
from pruning.files import atomic_write, require_new_folder
from pruning.formats import compact_file
from pruning.inference.masked_base import create_mask_head, load_masked_base
from pruning.inference.pruned_model import PrunedModel
from pruning.models.loading import find_model
from pruning.sources import Sources
from pruning.spec.export_formats import Format, archive_name

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every file in an archive, so that equal exports are equal files."""


def run_exports(
    mask: Path,
    formats: Sequence[Format],
    out: Path,
    *,
    model: Path | None = None,
    sources: Sources | None = None,
    weights: Path | None = None,
    archive: bool = False,
    emit: EventSink = lambda _: None,
) -> list[ExportEntry]:
    """Make the exports in ``out`` and write ``exports.json`` there, again after each.

    Folders are called by their format; with ``archive`` each is one file, ``export-<format>.zip``. Model, sources and
    weights are as for :func:`pruning.inference.masked_base.load_masked_base`, which raises what is wrong with them.
    OSError as :func:`pruning.files.require_new_folder` does, before anything is loaded.
    """
    sources = sources or Sources()
    out.mkdir(parents=True, exist_ok=True)
    for name in formats if not archive else ():
        require_new_folder(out / name)
    if model is None:
        _, info = compact_file.read_either(mask)
        model = find_model(info.base_model, info.base_revision, sources, emit).path
    context = _Context(mask, model, sources, weights)
    entries: list[ExportEntry] = []
    for name in dict.fromkeys(formats):
        emit(PhaseEvent(phase="exporting", message=name))
        entries.append(_export_one(context, name, out, archive, emit))
        figures = results.write(out, torch.get_num_threads(), entries)
    emit(ArtifactEvent.from_file(figures, "application/json"))
    return entries


class _Context:
    """Model, rows and files that the exports of one mask share."""

    def __init__(self, mask: Path, model: Path, sources: Sources, weights: Path | None) -> None:
        self.mask, self.sources, self.weights = mask, sources, weights
        loaded, info = load_masked_base(mask, model=model, sources=sources, weights=weights)
        self.base = loaded.folder.path
        self.source = ExportSource(PrunedModel(create_mask_head(loaded, info), loaded.tokenizer, info), loaded.decoder_only)
        self.longest = loaded.max_positions
        self.rows: ComparisonRows = comparison_rows(self.source.pruned, sources)


def _export_one(context: _Context, name: Format, out: Path, archive: bool, emit: EventSink) -> ExportEntry:
    with tempfile.TemporaryDirectory(dir=out, prefix=".export-") as draft:
        folder = Path(draft) / name
        try:
            made = _build_and_measure(context, name, folder, emit)
        except StoppedError:
            raise
        except Exception as fault:  # noqa: BLE001 - exporters raise what they like; the mask and the other exports stand
            failed = _failure_entry(name, fault)
            emit(LogEvent(level="warning", message=f"there is no export {name}: {failed.verdict}"))
            return failed
        if name != "stock":  # a stock folder has a model card of its own
            (folder / "README.md").write_text(model_card.text(made, context.source.pruned), encoding="utf-8")
        target = out / (archive_name(name) if archive else name)
        size = _write_archive(folder, target) if archive else sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
        if not archive:
            folder.rename(target)
    if archive:
        emit(ArtifactEvent.from_file(target, "application/zip"))
    emit(LogEvent(message=f"export {name}: {made.verdict}"))
    return made.model_copy(update={"artifact": target.name, "bytes": size})


def _build_and_measure(context: _Context, name: Format, folder: Path, emit: EventSink) -> ExportEntry:
    """Write, load what was written, compare, measure."""
    before = context.source.pruned
    compacted = False
    if name == "stock":
        stock = write_folder(context.mask, folder, model=context.base, weights=context.weights)
        if stock.reason is not None:
            emit(LogEvent(level="warning", message=f"export stock is not a classifier: {stock.reason}"))
        after = load_folder(folder, stock)
    else:
        folder.mkdir()
        compacted = write_export(context.source, name, folder).compacted
        after = load_export(folder)
    before = _on_device(before, after.device)
    agreement = compare(before, after, context.rows)
    if not agreement.exact and name not in ("onnx-int8", "semi-structured"):
        raise PermanentError(
            f"its logits differ from the dense model's by {agreement.max_difference:.2g}, which rounding does not explain",
            code="export_wrong",
            param="exports",
        )
    latency = benchmark.measure_latency(before, after, context.longest, emit)
    return ExportEntry(
        format=name,
        verdict=benchmark.speed_verdict(latency),
        compacted=compacted,
        equal=agreement.equal,
        max_difference=agreement.max_difference,
        rows=len(context.rows.encoded),
        checked_on=context.rows.source,
        latency=latency,
        device=torch.cuda.get_device_name() if after.device.type == "cuda" else "cpu",
    )


def _on_device(before: PrunedModel, device: torch.device) -> PrunedModel:
    """The dense model where the export is: on a GPU in half precision, as the export there."""
    if device.type == "cpu":
        return before
    head = copy.deepcopy(before.head).to(device=device, dtype=torch.float16)
    return PrunedModel(head, before.tokenizer, before.info)


def _failure_entry(name: Format, fault: Exception) -> ExportEntry:
    if isinstance(fault, PruningError):
        return results.failed_entry(name, fault.code, fault.message, retryable=isinstance(fault, TemporaryError))
    if isinstance(fault, SafetensorError):
        fault = failed_write(fault)
    if isinstance(fault, OSError) and fault.errno == errno.ENOSPC:
        return results.failed_entry(name, "insufficient_storage", "the disk of the worker is full", retryable=True)
    if isinstance(fault, MemoryError | torch.OutOfMemoryError):
        return results.failed_entry(name, "out_of_memory", "memory ran out; give the worker more", retryable=True)
    traceback.print_exc()  # unexpected; standard error is kept with the job
    return results.failed_entry(name, "export_failed", f"{type(fault).__name__}: {fault}"[:500])


def _write_archive(folder: Path, target: Path) -> int:
    """The folder as one ZIP file, complete or absent; its size."""
    with atomic_write(target) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = zipfile.ZipInfo(f"{folder.name}/{file.relative_to(folder)}", _EPOCH)
            name.compress_type, name.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            with file.open("rb") as source, archive.open(name, "w", force_zip64=True) as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
    return target.stat().st_size
