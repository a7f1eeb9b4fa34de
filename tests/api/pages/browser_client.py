"""A browser as far as HTTP goes: it asks for HTML, keeps cookies, says where a form came from and sends a form's hidden fields."""

import re
from dataclasses import dataclass, field
from html import unescape
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.api.problems import Response

MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
"""What runs where text reaches a page as markup."""

_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]{64})"')


@dataclass
class Browser:
    """One profile of a browser at ``base_url``."""

    app: FastAPI
    base_url: str = "http://127.0.0.1:8000"
    http: TestClient = field(init=False)

    def __post_init__(self) -> None:
        self.http = TestClient(self.app, base_url=self.base_url, follow_redirects=False)

    def get(self, path: str, **headers: str) -> Response:
        return self.http.get(path, headers={"Accept": "text/html", "Sec-Fetch-Site": "none", **headers})

    def fragment(self, path: str) -> Response:
        """What htmx asks for."""
        return self.get(path, **{"HX-Request": "true", "Sec-Fetch-Site": "same-origin"})

    def post(self, path: str, headers: dict[str, str] | None = None, **fields: Any) -> Response:
        sent = {"Accept": "text/html", "Origin": self.base_url, "Sec-Fetch-Site": "same-origin", **(headers or {})}
        return self.http.post(path, data=fields, headers=sent)

    def token(self, path: str = "/") -> str:
        """The token of a form on a page."""
        found = _TOKEN.search(self.get(path).text)
        assert found is not None, f"there is no form on {path}"
        return found[1]

    def send(self, path: str, page: str = "/", **fields: Any) -> Response:
        """Send a form of ``page``."""
        return self.post(path, form_token=self.token(page), **fields)

    def sign_in(self, key: str) -> Response:
        return self.post("/signin", key=key, next="/")


def texts(response: Response) -> str:
    """What a reader sees of a page: no tags, no entities."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", response.text)))


def faults(page: Response) -> dict[str, str]:
    """The message next to each field of a form."""
    found = re.findall(r'<p class="fault" id="([\w.]+)-fault">(.*?)</p>', page.text, re.DOTALL)
    return {name: unescape(text) for name, text in found}
