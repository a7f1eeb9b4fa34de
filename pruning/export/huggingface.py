"""Stock Hugging Face folder of a mask and its base, which plain ``transformers`` loads without this project.

Zeros are stored like any other number; what the folder holds is decided by :mod:`pruning.export.stock_model`. Called by
``espalier apply`` and :mod:`pruning.export.run`.
"""

import shutil
from pathlib import Path

from pruning.errors import PermanentError, TemporaryError
from pruning.export import huggingface_card, stock_model
from pruning.export.stock_model import StockModel
from pruning.files import new_folder
from pruning.formats import compact_file, mask_file
from pruning.hub.models import ModelFolder
from pruning.inference.masked_base import create_mask_head, load_masked_base
from pruning.inference.pruned_model import PrunedModel
from pruning.models.loading import load_model
from pruning.models.plain_modules import use_stock_modules
from pruning.models.quiet import quiet_transformers
from pruning.sources import Sources

_WEIGHT_BYTES = 4


def write_folder(
    mask: str | Path,
    folder: str | Path,
    *,
    model: str | Path | None = None,
    sources: Sources | None = None,
    weights: str | Path | None = None,
) -> StockModel:
    """Write the masked model, its tokenizer and a model card to ``folder``, which is new or empty.

    The other arguments are those of :func:`pruning.inference.pruned_model.load_pruned`. Raises PermanentError or
    TemporaryError as that does, and before anything is loaded OSError as :func:`pruning.files.new_folder` does.
    """
    target = Path(folder)
    with new_folder(target) as draft:
        _require_room(draft, Path(mask))
        stock = stock_model.build(lambda: load_masked_base(mask, model=model, sources=sources, weights=weights))
        with quiet_transformers():
            use_stock_modules(stock.model).save_pretrained(draft)
            stock.tokenizer.save_pretrained(draft)
        (draft / "README.md").write_text(huggingface_card.text(stock, target.name), encoding="utf-8")
    return stock


def _require_room(folder: Path, mask: Path) -> None:
    """Refuse a disk without space for the matrices alone, before they are loaded; embeddings and heads come on top."""
    info = compact_file.read_info(mask) if compact_file.is_compact(mask) else mask_file.read_info(mask)
    needed = _WEIGHT_BYTES * sum(rows * columns for rows, columns in info.shapes.values())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise TemporaryError(
            f"the folder needs more than {needed} bytes, because zeros are stored too, and its disk has {free} left; "
            "name a folder on another disk, or free space",
            code="insufficient_storage",
        )


def load_folder(folder: Path, stock: StockModel) -> PrunedModel:
    """A folder that :func:`write_folder` wrote, as transformers reads it. Raises PermanentError."""
    info = stock.info
    loaded = load_model(
        ModelFolder(folder, None), info.label_words, stock.head, pieces=info.spec.label_word_pieces, classes=info.classes
    )
    if loaded.new_parameters:
        raise PermanentError(f"the folder lacks {min(loaded.new_parameters)}", code="export_wrong", param="exports")
    head = create_mask_head(loaded, stock.info) if stock.reason is not None else stock_model.head_over(loaded.model, stock.info)
    return PrunedModel(head, loaded.tokenizer, stock.info)
