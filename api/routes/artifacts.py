"""Artifact routes: list the files of a job, and download them whole or in part, streamed and never held in memory."""

import re
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response

from api.errors.problems import problem_response, problem_responses
from api.request.auth import Reader
from api.request.conditional import etag_matches
from api.request.deps import ArtifactName, JobId, ServicesDep
from api.responses.byte_ranges import file_headers, file_response
from api.responses.routing import AuthenticatedRoute
from api.schemas.jobs import Artifact, ArtifactList
from api.submission.finished_masks import MASK_FILES, require_mask_maker
from service.artifacts import store
from service.db import models
from service.jobs import queries

HEAD_PATH = re.compile(r"/v1/jobs/[^/]+/artifacts/[^/]+")
"""The route of this module that serves HEAD without opening the file."""
router = APIRouter(prefix="/v1/jobs/{job_id}/artifacts", tags=["artifacts"], route_class=AuthenticatedRoute)
REPORT = "report.html"
"""The only file that a browser may display instead of saving it."""
_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
"""Reports hold names that users chose, and other users open them: a displayed file runs no script, loads nothing and has no
origin, so it cannot use its reader's access to this service."""
_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_DOWNLOADED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": _BINARY},
    206: {"description": "The part requested by Range", "content": _BINARY},
    304: {"description": "Unchanged since the ETag of If-None-Match"},
}
_HEADERS_ONLY: dict[int | str, dict[str, Any]] = {200: {"description": "The headers of a download"}, 304: _DOWNLOADED[304]}


@router.get("", operation_id="listArtifacts", responses=problem_responses(404), summary="List the files of a job")
def list_artifacts(job_id: JobId, services: ServicesDep, caller: Reader) -> ArtifactList:
    """Only complete files are listed."""
    with services.database.read() as session:
        queries.require(session, job_id, owner=caller.owner_filter)
        data = [Artifact.from_row(row, services.settings.root_path) for row in store.list_for_job(session, job_id)]
    return ArtifactList(data=data, has_more=False, next_cursor=None)


@router.head(
    "/{name}",
    operation_id="headArtifact",
    response_class=Response,
    responses=problem_responses(404, 409, 412) | _HEADERS_ONLY,
    summary="Size and digest of a file",
)
@router.get(
    "/{name}",
    operation_id="downloadArtifact",
    response_class=Response,
    responses=problem_responses(404, 409, 412, 416) | _DOWNLOADED,
    summary="Download a file",
)
def download_artifact(job_id: JobId, name: ArtifactName, request: Request, services: ServicesDep, caller: Reader) -> Response:
    """``ETag`` is the sha-256 of the file; ``Range``, ``If-Range``, ``If-Match`` and ``If-None-Match`` are honoured."""
    with services.database.read() as session:
        job = queries.get(session, job_id, owner=caller.owner_filter)
        if name in MASK_FILES:
            require_mask_maker(job)
        spec, artifact = job.spec, store.get(session, job_id, name)
    given, headers = request.headers, _headers(artifact, spec)
    etag = headers["ETag"]
    if "if-match" in given and not etag_matches(given["if-match"], etag, weak=False):
        return problem_response(request, "artifact_changed", "the file has changed since the ETag in If-Match")
    if etag_matches(given.get("if-none-match"), etag, weak=True):
        return Response(status_code=304, headers={"ETag": etag})
    if request.method == "HEAD":  # RFC 9110: Range is defined for GET alone
        headers["Content-Length"] = str(artifact.size)
        return Response(headers=headers, media_type=artifact.media_type)
    read = partial(store.iter_bytes, services.database, artifact.id)
    return file_response(request, artifact.size, read, headers, artifact.media_type)


def _headers(artifact: models.Artifact, spec: dict[str, Any]) -> dict[str, str]:
    disposition = "inline" if artifact.name == REPORT else "attachment"
    policy = {"Content-Security-Policy": _POLICY}
    return file_headers(artifact.sha256, file_name(artifact, spec), disposition) | policy


def file_name(artifact: models.Artifact, spec: dict[str, Any]) -> str:
    """File name for a downloads folder.

    E.g. ``sst2_smp-s_0.9_job_01jd3x…_mask.safetensors``; only characters that all file systems allow.
    """
    task = spec.get("task")
    task_name = task.get("dataset") if isinstance(task, dict) else task
    parts = f"{task_name}_{spec.get('method')}_{spec.get('sparsity')}_{artifact.job_id}_{artifact.name}"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", parts)
