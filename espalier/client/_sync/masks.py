# made by `python -m scripts.unasync` from espalier/client/_async/masks.py; change that file, not this one
"""Calls for uploaded masks: upload, list, look, delete. The part of ``Client`` for them."""

from collections.abc import Callable, Iterator
from pathlib import Path

from espalier.client._sync.http import Http
from espalier.client.model_entries import UploadedMask
from espalier.client.resource import resource_path


class MaskCalls:
    """Methods of ``Client`` for uploaded masks. Every one raises ApiError or UnreachableError."""

    _http: Http

    def upload_mask(
        self, file: str | Path, *, name: str | None = None, report: Callable[[int, int], None] | None = None
    ) -> UploadedMask:
        """Upload a ``mask.safetensors`` or ``mask.espalier``; a job starts from it by its ``id`` (``init_from``).

        The same file again is the same mask. ``report`` is called with the bytes sent so far and the bytes of the file. Raises
        OSError for a file that cannot be read.
        """
        fields = {"name": name} if name is not None else {}
        return UploadedMask.model_validate(self._http.upload("/v1/masks", {"file": Path(file)}, fields, report))

    def uploaded_mask(self, mask: UploadedMask | str) -> UploadedMask:
        """The uploaded mask of that id."""
        return UploadedMask.model_validate(self._http.request("GET", _path(mask)))

    def uploaded_masks(self) -> Iterator[UploadedMask]:
        """All uploaded masks, newest first, page after page; those of jobs are among their artifacts."""
        for row in self._http.rows("/v1/masks"):
            yield UploadedMask.model_validate(row)

    def delete_mask(self, mask: UploadedMask | str) -> None:
        """Delete an uploaded mask; refused while a job that has not ended starts from it."""
        self._http.request("DELETE", _path(mask))


def _path(mask: UploadedMask | str) -> str:
    return resource_path("masks", mask)
