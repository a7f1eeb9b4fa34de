"""Stock Hugging Face folder of a mask and its base, which plain ``transformers`` loads without this project.

Zeros are stored like any other number; what the folder holds is decided by :mod:`pruning.export.stock_model`. Called by
``espalier apply`` and :mod:`pruning.export.run`.
"""

from pathlib import Path

from pruning.errors import PermanentError
from pruning.export import huggingface_card, stock_model
from pruning.export.stock_model import StockModel
from pruning.files import new_folder
from pruning.hub.models import ModelFolder
from pruning.inference.masked_base import create_mask_head, load_masked_base
from pruning.inference.pruned_model import PrunedModel
from pruning.models.loading import load_model
from pruning.models.quiet import quiet_transformers
from pruning.sources import Sources


def write_folder(
    mask: str | Path, folder: str | Path, *, model: str | Path | None = None, sources: Sources | None = None,
    weights: str | Path | None = None,
) -> StockModel:  # fmt: skip
    """Write the masked model, its tokenizer and a model card to ``folder``, which is new or empty.

    The other arguments are those of :func:`pruning.inference.pruned_model.load_pruned`. Raises PermanentError or
    TemporaryError as that does, and before anything is loaded OSError as :func:`pruning.files.new_folder` does.
    """
    target = Path(folder)
    with new_folder(target) as draft:
        stock = stock_model.build(lambda: load_masked_base(mask, model=model, sources=sources, weights=weights))
        with quiet_transformers():
            stock.model.save_pretrained(draft)
            stock.tokenizer.save_pretrained(draft)
        (draft / "README.md").write_text(huggingface_card.text(stock, target.name), encoding="utf-8")
    return stock


def load_folder(folder: Path, stock: StockModel) -> PrunedModel:
    """A folder that :func:`write_folder` wrote, as transformers reads it. Raises PermanentError."""
    loaded = load_model(ModelFolder(folder, None), stock.info.label_words, stock.head)
    if loaded.new_parameters:
        raise PermanentError(f"the folder lacks {min(loaded.new_parameters)}", code="export_wrong", param="exports")
    head = (
        create_mask_head(loaded, stock.info)
        if stock.reason is not None
        else stock_model.head_over(loaded.model, stock.info)
    )
    return PrunedModel(head, loaded.tokenizer, stock.info)
