"""Scripts and style sheets of the pages: what is served, compressed, cached."""

import gzip
import re
from pathlib import Path

import pytest

from api.pages import assets
from api.pages.assets import ASSETS, asset_url
from tests.api.pages.browser_client import Browser

TEMPLATES = Path(assets.__file__).parent / "templates"


@pytest.mark.parametrize("name", sorted(ASSETS))
def test_assets_are_kept_until_they_change(browser: Browser, name: str) -> None:
    found = browser.http.get(asset_url(name), headers={"Accept-Encoding": "identity"})
    assert found.content == ASSETS[name].read_bytes()
    assert "immutable" in found.headers["Cache-Control"]
    assert browser.http.get(f"/static/{name}").headers["Cache-Control"] == "no-cache"
    again = browser.http.get(f"/static/{name}", headers={"If-None-Match": found.headers["ETag"]})
    assert again.status_code == 304
    with browser.http.stream("GET", f"/static/{name}", headers={"Accept-Encoding": "gzip"}) as sent:
        assert gzip.decompress(b"".join(sent.iter_raw())) == found.content


@pytest.mark.parametrize("name", ["manifest.json", "..%2Frendering.py", "swagger-ui-bundle.js"])
def test_nothing_else_is_served(browser: Browser, name: str) -> None:
    assert browser.http.get(f"/static/{name}").status_code == 404


@pytest.mark.parametrize("file", sorted(TEMPLATES.iterdir()), ids=lambda file: file.name)
def test_templates_keep_to_the_policy(file: Path) -> None:
    text = file.read_text("utf-8")
    inline = r"<style|\sstyle=|<script>|\son\w+=|hx-on|\|\s*safe|autoescape"
    assert not re.search(inline + r"|(src|href|srcset|action|hx-\w+)=\"https?:", text)
    for form in re.findall(r'<form[^>]*method="post".*?</form>', text, re.DOTALL):
        assert "form_token" in form or "hidden_token" in form or 'action="{{ page.root }}/signin"' in form
