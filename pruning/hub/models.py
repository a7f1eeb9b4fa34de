"""The model hub: names to commits, commits to local folders; every failure becomes one of our two kinds.

The only file that talks to the hub about models. Revisions are pinned to a commit before anything is downloaded, so a
branch that moves meanwhile cannot mix two states. Where the hub is out of reach, a copy in its cache serves if there is
one, and :class:`Located` says so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # exported for us under this name in every release

from pruning.errors import PermanentError, PruningError, TemporaryError
from pruning.hub.progress import progress_bar_class

MODEL_FILES = ["config.json", "*.safetensors", "*.safetensors.index.json", "tokenizer*", "vocab.*", "merges.txt",
               "special_tokens_map.json", "added_tokens.json", "*.model"]  # fmt: skip
TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class ModelFolder:
    """A folder on this machine with a model's files."""

    path: Path
    revision: str | None
    """Commit on the hub; None for a folder that never was there."""
    notice: str = ""
    """What the user should know about where it came from; empty when nothing is remarkable."""


def download_model(
    name: str, revision: str | None, token: str | None = None, on_progress: Callable[[str], None] = lambda _: None
) -> ModelFolder:
    """Bring one commit of a hub model to this machine, or find it in the cache; ``tell`` hears how far it is.

    Raises PermanentError (``model_not_found``, ``revision_not_found``, ``model_gated``, ``hub_token_refused``,
    ``model_weights_missing``) or TemporaryError (``hub_unreachable``).
    """
    try:
        info = HfApi(token=token).model_info(name, revision=revision, timeout=TIMEOUT_SECONDS)
        if not any(file.rfilename.endswith(".safetensors") for file in info.siblings or []):
            raise PermanentError(
                f"hub model {name!r} has no weights in safetensors format, others are not loaded; "
                "convert it or choose another model",
                code="model_weights_missing", param="model",
            )  # fmt: skip
        # by its name, not by info.sha: it pins the commit itself, and notes which one the name means for _cached
        folder = snapshot_download(
            name, revision=revision, allow_patterns=MODEL_FILES, etag_timeout=TIMEOUT_SECONDS, token=token,
            tqdm_class=progress_bar_class(on_progress),
        )  # fmt: skip
    except (OSError, HfHubHTTPError, httpx.HTTPError) as fault:
        failure = pruning_error_from(fault, "model", name, revision)
        if isinstance(failure, PermanentError):
            raise failure from fault
        return _cached(name, revision, failure)
    return ModelFolder(Path(folder), Path(folder).name)


def pruning_error_from(fault: Exception, kind: str, name: str, revision: str | None) -> PruningError:
    """What a failed request to the hub means for the user; ``kind`` is ``model`` or ``dataset``, as in the codes."""
    param = "model" if kind == "model" else "task"
    if isinstance(fault, GatedRepoError):
        return PermanentError(
            f"hub {kind} {name!r} is gated and this service has no access to it; accept its terms and set a hub token that "
            "may read it, or choose another",
            code=f"{kind}_gated", param=param,
        )  # fmt: skip
    if isinstance(fault, RevisionNotFoundError):
        return PermanentError(
            f"hub {kind} {name!r} has no revision {revision!r}; give a branch, tag or commit that exists",
            code="revision_not_found", param="revision",
        )  # fmt: skip
    if isinstance(fault, RepositoryNotFoundError):
        return PermanentError(
            f"there is no {kind} {name!r} on the hub or under the local directory; check the spelling, or set a hub token that "
            "may read it if it is private",
            code=f"{kind}_not_found", param=param,
        )  # fmt: skip
    if isinstance(fault, HfHubHTTPError) and fault.response.status_code == HTTPStatus.UNAUTHORIZED:
        return PermanentError(
            f"the hub refuses the hub token for {kind} {name!r}: it was revoked or has expired; set a new one, or delete it if "
            f"the {kind} is public",
            code="hub_token_refused", param=param,
        )  # fmt: skip
    return TemporaryError(
        f"the hub cannot be reached for {kind} {name!r} ({type(fault).__name__}); try again, or put the {kind} "
        f"under the local {kind}s directory",
        code="hub_unreachable", param=param,
    )  # fmt: skip


def _cached(name: str, revision: str | None, failure: PruningError) -> ModelFolder:
    try:
        path = Path(snapshot_download(name, revision=revision, allow_patterns=MODEL_FILES, local_files_only=True))
    except LocalEntryNotFoundError:
        raise failure from None
    return ModelFolder(path, path.name, notice=f"the hub is unreachable; using the cached commit {path.name} of {name}")
