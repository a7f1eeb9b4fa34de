"""Download of data sets from the Hugging Face hub: the data files of one split at one commit, and the class names of its card.

Called by :mod:`pruning.data.reader` where the data sets directory does not have the task's folder. No loading library is used:
it would follow a card's patterns to other places and run code found there. The files are read as uploads are; what a card or a
Parquet schema says of the columns is decoded by ``datasets``, whose format that is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCardData, HfApi, hf_hub_download

from pruning.hub.dataset_files import choose_files
from pruning.hub.models import TIMEOUT_SECONDS, hub_errors, silent_bar
from pruning.spec.tasks import Task


@dataclass(frozen=True)
class HubSplit:
    """The files of a split on this machine."""

    commit: str
    files: dict[str, Path]
    """Files by their names in the repository, in order."""
    class_names: dict[str, tuple[str, ...]]
    """Names of class ids, by column, where the data set's card has them."""


def download_split(task: Task, split: str, token: str | None = None) -> HubSplit:
    """Download the files of one split, of the commit that the data set is at now.

    Raises PermanentError or TemporaryError as :func:`pruning.hub.models.pruning_error_from` and
    :func:`pruning.hub.dataset_files.choose_files` say.
    """
    with hub_errors("dataset", task.dataset):
        info = HfApi(token=token).dataset_info(task.dataset, timeout=TIMEOUT_SECONDS)
        card: Mapping[str, Any] = vars(info.card_data) if info.card_data else {}
        names = [str(file.rfilename) for file in info.siblings or []]
    chosen = choose_files(names, card, task.dataset, task.config, split)
    with hub_errors("dataset", task.dataset):
        files = {
            name: Path(
                hf_hub_download(
                    task.dataset,
                    name,
                    repo_type="dataset",
                    revision=info.sha,
                    token=token,
                    etag_timeout=TIMEOUT_SECONDS,
                    tqdm_class=silent_bar(),
                )
            )
            for name in chosen
        }
    return HubSplit(str(info.sha), files, _class_names(info.card_data, task.config))


def _class_names(card: DatasetCardData | None, config: str | None) -> dict[str, tuple[str, ...]]:
    """Names of class ids in the card's description of the columns."""
    from datasets.info import DatasetInfosDict

    if card is None:
        return {}
    try:
        infos = DatasetInfosDict.from_dataset_card_data(card)
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}  # a description of another form: the ids stay ids
    fitting = [info for name, info in infos.items() if config in (None, name)]
    return class_names_of(fitting[0].features) if len(fitting) == 1 and fitting[0].features else {}


def class_names_of(features: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Names of class ids by column, of those ``datasets.Features`` that have them."""
    from datasets import ClassLabel

    plain = {name: getattr(kind, "feature", kind) for name, kind in features.items()}  # for a list, the feature of its entries
    return {name: tuple(map(str, kind.names)) for name, kind in plain.items() if isinstance(kind, ClassLabel) and kind.names}
