"""Download of models from the Hugging Face hub: revisions pinned to a commit, hub errors as PermanentError or TemporaryError.

Called by :mod:`pruning.models.loading`; the only file that asks the hub for models. A revision becomes a commit before anything
is downloaded, so a branch that moves meanwhile cannot mix two states. Where the hub is unreachable, a copy in its cache is used if
there is one, and :class:`ModelFolder` records it.
"""

import errno
import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tqdm.auto import tqdm

from pruning.errors import PermanentError, PruningError, TemporaryError
from pruning.hub.download_size import require_room

SMALL_FILES = [
    "config.json",
    "*.safetensors.index.json",
    "tokenizer*",
    "vocab.*",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "*.model",
    "README.md",
]
"""Downloaded first, so that a model that cannot be used costs no download of its weights."""
MODEL_FILES = [*SMALL_FILES, "*.safetensors"]
TIMEOUT_SECONDS = 10
PROGRESS_SECONDS = 2.0
"""Least time between two messages about a download."""


@dataclass(frozen=True)
class ModelFolder:
    """A folder on this machine with a model's files, and their commit."""

    path: Path
    revision: str | None
    """Commit on the hub; None for a folder that is not from the hub."""
    notice: str = ""
    """Message for the run's log about where the files came from; empty when there is none."""


def download_model(
    name: str,
    revision: str | None,
    token: str | None = None,
    on_progress: Callable[[str], None] = lambda _: None,
    max_bytes: int | None = None,
    check: Callable[[Path, set[str]], object] = lambda *_: None,
) -> ModelFolder:
    """Download one commit of a hub model, or find it in the cache; ``on_progress`` is called with lines such as ``12 of 440 MB``.

    Nothing is downloaded of a model with more than ``max_bytes``, or for which the disk has no space. ``check`` may refuse the
    model by a folder with its configuration and tokenizer and by the names of all its files, before its weights are downloaded.
    Raises PermanentError (``model_not_found``, ``revision_not_found``, ``model_gated``, ``hub_token_refused``, ``model_too_large``,
    those of ``check``) or TemporaryError (``hub_unreachable``, ``insufficient_storage``).
    """
    try:
        with hub_errors("model", name, revision):
            about = partial(HfApi(token=token).model_info, name, timeout=TIMEOUT_SECONDS, files_metadata=True)
            info = about(revision=revision)
            require_room(name, info.sha, info.siblings or [], MODEL_FILES, max_bytes)
            download = partial(
                snapshot_download, name, etag_timeout=TIMEOUT_SECONDS, token=token, tqdm_class=progress_bar_class(on_progress)
            )
            # by its name, not by info.sha: the client pins the commit itself, and records which one the name means for _cached
            folder = Path(download(revision=revision, allow_patterns=SMALL_FILES))
            if folder.name != info.sha:  # a branch that moved meanwhile
                info = about(revision=folder.name)
                require_room(name, info.sha, info.siblings or [], MODEL_FILES, max_bytes)
            check(folder, {file.rfilename for file in info.siblings or []})
            download(revision=folder.name, allow_patterns=MODEL_FILES)
    except TemporaryError as failure:
        if failure.code != "hub_unreachable":
            raise
        return _cached(name, revision, failure)
    return ModelFolder(folder, folder.name)


@contextmanager
def hub_errors(kind: str, name: str, revision: str | None = None) -> Iterator[None]:
    """Requests to the hub in a block: every exception of the hub's client becomes an error of this

    package. Not its own classes alone: a response that is not the hub's (the page of a proxy, truncated JSON, a wrong redirect)
    makes it raise ValueError, TypeError and others.
    """
    try:
        yield
    except (PruningError, MemoryError):
        raise
    except Exception as fault:
        raise pruning_error_from(fault, kind, name, revision) from fault


def pruning_error_from(fault: Exception, kind: str, name: str, revision: str | None) -> PruningError:
    """A failed request to the hub as the error of this package; ``kind`` is ``model`` or ``dataset``, as in the codes."""
    param = "model" if kind == "model" else "task"
    if isinstance(fault, GatedRepoError):
        return PermanentError(
            f"hub {kind} {name!r} is gated and this service has no access to it; accept its terms and set a hub token that "
            "may read it, or choose another",
            code=f"{kind}_gated",
            param=param,
        )
    if isinstance(fault, RevisionNotFoundError):
        return PermanentError(
            f"hub {kind} {name!r} has no revision {revision!r}; give a branch, tag or commit that exists",
            code="revision_not_found",
            param="revision",
        )
    if isinstance(fault, RepositoryNotFoundError):
        return PermanentError(
            f"there is no {kind} {name!r} on the hub or under the local directory; check the spelling, or set a hub token that "
            "may read it if it is private",
            code=f"{kind}_not_found",
            param=param,
        )
    if isinstance(fault, HfHubHTTPError) and fault.response.status_code == HTTPStatus.UNAUTHORIZED:
        return PermanentError(
            f"the hub refuses the hub token for {kind} {name!r}: it was revoked or has expired; set a new one, or delete it if "
            f"the {kind} is public",
            code="hub_token_refused",
            param=param,
        )
    if isinstance(fault, HfHubHTTPError) and _is_final(fault.response.status_code):
        said = (fault.server_message or f"HTTP status {fault.response.status_code}").strip().split("\n")[0][:300]
        return PermanentError(
            f"the hub refuses {kind} {name!r} ({fault.response.status_code}): {said}; check its page, or choose another",
            code="hub_refused",
            param=param,
        )
    if isinstance(fault, OSError) and fault.errno == errno.ENOSPC:
        return TemporaryError("the disk of the worker is full", code="insufficient_storage")
    return TemporaryError(
        f"the hub cannot be reached for {kind} {name!r} ({type(fault).__name__}); try again, or put the {kind} "
        f"under the local {kind}s directory",
        code="hub_unreachable",
        param=param,
    )


def _is_final(status: int) -> bool:
    """Whether the same request would be refused again: a client error, and not a transient one."""
    passing = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
    return HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in passing


def _cached(name: str, revision: str | None, failure: PruningError) -> ModelFolder:
    try:
        path = Path(snapshot_download(name, revision=revision, allow_patterns=MODEL_FILES, local_files_only=True))
    except LocalEntryNotFoundError:
        raise failure from None
    return ModelFolder(path, path.name, notice=f"the hub is unreachable; using the cached commit {path.name} of {name}")


def silent_bar() -> type[Any]:
    """A class for ``tqdm_class=`` that draws nothing."""
    return progress_bar_class(lambda _: None)


def progress_bar_class(on_progress: Callable[[str], None]) -> type[Any]:
    """A class for ``tqdm_class=`` that draws nothing and calls ``on_progress`` once in :data:`PROGRESS_SECONDS` at most."""
    last = time.monotonic()

    class CallbackBar(tqdm):  # type: ignore[misc]  # tqdm has no types
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)  # the hub client's own argument
            super().__init__(*args, **{**kwargs, "file": io.StringIO(), "disable": False})

        def display(self, *_args: Any, **_kwargs: Any) -> None:
            nonlocal last
            now = time.monotonic()
            if self.unit == "B" and self.total and now - last >= PROGRESS_SECONDS:
                last = now
                on_progress(f"{self.n / 1e6:.1f} of {self.total / 1e6:.1f} MB")

    return CallbackBar
