"""Profile of a real browser at one service, which records what a page must not do: errors, dialogs, requests to other hosts."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Locator, Page

AXE = Path(__file__).parent / "vendored" / "axe.min.js"
_REFUSED = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")
_RUN_AXE = "axe.run(document, {resultTypes: ['violations']}).then(found => found.violations)"


@dataclass
class Visitor:
    """A page of ``context`` and what it did. ``faults`` must be empty in the end."""

    context: BrowserContext
    url: str
    """Of the service; a request to any other origin is a fault."""
    page: Page = field(init=False)
    faults: list[str] = field(default_factory=list)
    expected: set[str] = field(default_factory=set)
    """Statuses of refusals that are meant: browsers write each to the console."""

    def __post_init__(self) -> None:
        self.context.on("request", lambda request: self._note_request(request.url))
        self.context.on("console", lambda message: self._note_message(message.type, message.text))
        self.context.on("weberror", lambda error: self.faults.append(f"script error: {error.error}"))
        self.page = self.context.new_page()
        self.page.on("dialog", self._note_dialog)

    def open(self, path: str) -> Page:
        """The page at ``path``, loaded."""
        self.page.goto(f"{self.url}{path}")
        return self.page

    def focused(self) -> Locator:
        """The element that has the focus."""
        return self.page.locator(":focus")

    def press_until(self, key: str, name: str, limit: int = 60) -> None:
        """Press ``key`` until the focus is on what reads ``name``."""
        for _ in range(limit):
            self.page.keyboard.press(key)
            if self.focused().count() and self.focused().inner_text().strip() == name:
                return
        raise AssertionError(f"{key} does not lead to {name!r}")

    def violations(self) -> list[str]:
        """What axe-core finds wrong with the page as it is now: rule, element and reason."""
        self.page.evaluate(AXE.read_text("utf-8"))  # by the debugger, which no policy of the page holds for
        found: list[dict[str, Any]] = self.page.evaluate(_RUN_AXE)
        return [f"{rule['id']}: {node['html'][:200]}: {node['failureSummary']}" for rule in found for node in rule["nodes"]]

    def _note_request(self, url: str) -> None:
        if url.startswith(("http", "ws")) and urlsplit(url).netloc != urlsplit(self.url).netloc:
            self.faults.append(f"a request to {url}")

    def _note_message(self, kind: str, text: str) -> None:
        refused = _REFUSED.match(text)
        if kind in ("error", "warning") and not (refused and refused[1] in self.expected):
            self.faults.append(f"{kind}: {text}")

    def _note_dialog(self, dialog: Any) -> None:
        self.faults.append(f"{dialog.type}: {dialog.message}")
        dialog.dismiss()
