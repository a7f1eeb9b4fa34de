"""API documentation pages ``/docs`` and ``/redoc``, with scripts of the service's own origin: they work without a network.

The scripts are fetched and checked by ``scripts.vendor_assets``. A Content-Security-Policy allows only these: on a service without
keys a foreign script in this origin could do everything.
"""

import json
from html import escape
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse

STATIC = Path(__file__).parents[1] / "static"
ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css", "redoc.standalone.js": "text/javascript"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Espalier</title><meta name="viewport" content="width=device-width, initial-scale=1">
{head}</head>
<body>
{body}
</body>
</html>
"""
router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def swagger_ui(request: Request) -> Response:
    """Swagger UI."""
    root = escape(str(request.scope.get("root_path", "")))
    head = f'<link rel="stylesheet" href="{root}/docs/assets/swagger-ui.css">\n'
    body = (
        f'<div id="swagger-ui"></div>\n<script src="{root}/docs/assets/swagger-ui-bundle.js"></script>\n'
        f'<script src="{root}/docs/assets/start.js"></script>'
    )
    return HTMLResponse(_PAGE.format(head=head, body=body), headers=_HEADERS)


@router.get("/redoc")
async def redoc(request: Request) -> Response:
    """Redoc."""
    root = escape(str(request.scope.get("root_path", "")))
    body = f'<redoc spec-url="{root}/openapi.json"></redoc>\n<script src="{root}/docs/assets/redoc.standalone.js"></script>'
    return HTMLResponse(_PAGE.format(head="", body=body), headers=_HEADERS)


@router.get("/docs/assets/start.js")
async def start_script(request: Request) -> Response:
    """Starts Swagger UI; a file of its own, because the policy allows no script within a page."""
    url = json.dumps(f"{request.scope.get('root_path', '')}/openapi.json")
    script = f'SwaggerUIBundle({{url: {url}, dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null}});\n'
    return Response(script, headers=_HEADERS | {"Cache-Control": "no-cache"}, media_type="text/javascript")


@router.get("/docs/assets/{name}")
async def asset(name: str) -> Response:
    """A script or style sheet."""
    if name not in ASSETS:
        raise HTTPException(404)
    headers = _HEADERS | {"Cache-Control": "public, max-age=3600"}
    return FileResponse(STATIC / name, headers=headers, media_type=ASSETS[name])
