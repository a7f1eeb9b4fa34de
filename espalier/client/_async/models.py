"""Model calls of ``AsyncClient``: list, upload, show, delete."""

from collections.abc import Callable
from pathlib import Path

from espalier.client._async.http import Http
from espalier.client.model_entries import Model, ModelList, UploadedModel
from espalier.client.resource import resource_path
from espalier.client.upload_files import model_files


class ModelCalls:
    """Methods of ``AsyncClient`` for models. Every one raises ApiError or UnreachableError."""

    _http: Http

    async def models(self) -> ModelList:
        """The models that a job can name: those of the service, your uploaded ones, and whether and which of the hub."""
        first = ModelList.model_validate(await self._http.request("GET", "/v1/models"))
        uploaded = [Model.model_validate(row) async for row in self._http.rows("/v1/models")]
        return first.model_copy(update={"data": uploaded})

    async def upload_model(
        self, folder: str | Path, *, name: str | None = None, report: Callable[[int, int], None] | None = None
    ) -> UploadedModel:
        """Upload a Hugging Face folder with safetensors weights, or a zip of one; a job names the model by its ``id``.

        Of a folder the files that a model is read from are sent (:func:`espalier.client.upload_files.model_files`). The same files
        again are the same model. ``report`` is called with the bytes sent so far and the bytes of all files. Raises OSError for
        files that cannot be read.
        """
        fields = {"name": name} if name is not None else {}
        return UploadedModel.model_validate(await self._http.upload("/v1/models", model_files(Path(folder)), fields, report))

    async def uploaded_model(self, model: UploadedModel | str) -> UploadedModel:
        """The uploaded model of that id, with its files."""
        return UploadedModel.model_validate(await self._http.request("GET", _path(model)))

    async def delete_model(self, model: UploadedModel | str) -> None:
        """Delete an uploaded model; refused while a job that has not ended reads it."""
        await self._http.request("DELETE", _path(model))


def _path(model: UploadedModel | str) -> str:
    return resource_path("models", model)
