"""Error pages: problem responses as HTML for browsers, with the same status, headers and words.

For the routes of pages (``access``), for unknown paths, and for bugs (``api.app``). Paths below ``/v1`` answer with
problems, to browsers, too.
"""

import json
import logging

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from api.errors.handlers import respond
from api.pages.rendering import render

log = logging.getLogger(__name__)
_API = "/v1/"


def install_error_pages(app: FastAPI) -> None:
    """Answer browsers with a page for an unknown path. Replaces a handler of ``api.errors.handlers``."""
    app.exception_handler(HTTPException)(_handle_http)


def error_page(request: Request, error: Exception) -> Response:
    """A page with the status, headers and words of a JSON route's response to ``error``; programs get the problem.

    Bugs are raised again.
    """
    answer = respond(request, error)
    return as_page(request, answer) if is_browser(request) else answer


def bug_page(request: Request, problem: Response) -> Response:
    """``problem`` as a page for a browser, or as JSON if rendering fails."""
    if not is_browser(request) or request.url.path.startswith(_API):
        return problem
    try:
        return as_page(request, problem)
    except Exception:
        log.exception("the page for an error cannot be made: %s %s", request.method, request.url.path)
        return problem


def as_page(request: Request, answer: Response) -> Response:
    """The page of a response that is a problem."""
    headers = {name: value for name, value in answer.headers.items() if not name.startswith("content-")}
    response = render(request, "error.html", answer.status_code, problem=json.loads(bytes(answer.body)))
    response.headers.update(headers)
    return response


def refusal_of(request: Request, error: Exception) -> tuple[int, str]:
    """Status and words of a JSON route for ``error``, to be shown next to a form. Bugs are raised again."""
    answer = respond(request, error)
    return answer.status_code, json.loads(bytes(answer.body))["detail"]


def is_browser(request: Request) -> bool:
    """Whether the request is for a page, by a browser or by htmx."""
    return "hx-request" in request.headers or "text/html" in request.headers.get("accept", "")


def _handle_http(request: Request, error: HTTPException) -> Response:
    return respond(request, error) if request.url.path.startswith(_API) else error_page(request, error)
