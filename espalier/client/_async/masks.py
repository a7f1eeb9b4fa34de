"""Calls for uploaded masks: upload, list, look, delete. The part of ``AsyncClient`` for them."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

from espalier.client._async.http import Http
from espalier.client.model_entries import UploadedMask
from espalier.client.resource import resource_path


class MaskCalls:
    """Methods of ``AsyncClient`` for uploaded masks. Every one raises ApiError or UnreachableError."""

    _http: Http

    async def upload_mask(
        self, file: str | Path, *, name: str | None = None, report: Callable[[int, int], None] | None = None
    ) -> UploadedMask:
        """Upload a ``mask.safetensors`` or ``mask.espalier``; a job starts from it by its ``id`` (``init_from``).

        The same file again is the same mask. ``report`` is called with the bytes sent so far and the bytes of the file. Raises
        OSError for a file that cannot be read.
        """
        fields = {"name": name} if name is not None else {}
        return UploadedMask.model_validate(await self._http.upload("/v1/masks", {"file": Path(file)}, fields, report))

    async def uploaded_mask(self, mask: UploadedMask | str) -> UploadedMask:
        """The uploaded mask of that id."""
        return UploadedMask.model_validate(await self._http.request("GET", _path(mask)))

    async def uploaded_masks(self) -> AsyncIterator[UploadedMask]:
        """All uploaded masks, newest first, page after page; those of jobs are among their artifacts."""
        async for row in self._http.rows("/v1/masks"):
            yield UploadedMask.model_validate(row)

    async def delete_mask(self, mask: UploadedMask | str) -> None:
        """Delete an uploaded mask; refused while a job that has not ended starts from it."""
        await self._http.request("DELETE", _path(mask))


def _path(mask: UploadedMask | str) -> str:
    return resource_path("masks", mask)
