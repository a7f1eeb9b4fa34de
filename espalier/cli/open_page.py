"""``espalier open``: the page of a job in a browser."""

import os
import sys
import webbrowser

from espalier.cli.ids import JobId
from espalier.cli.next_steps import page_url
from espalier.cli.output import notify
from espalier.cli.service_context import ServiceContext, with_service


@with_service
def open_page(context: ServiceContext, job: JobId) -> None:
    """Open the page of a job in a browser, and print its address; where there is no browser, only that.

    Example: espalier open last
    """
    with context.client() as client:
        page = page_url(context, client.get(job).id)
    opened = has_browser() and webbrowser.open(page)
    context.print_line(page, {"url": page, "opened": opened})
    if not opened and not context.as_json:
        notify("there is no browser here; open the address where there is one")


def has_browser() -> bool:
    """Whether a browser can show a window: one that fills the terminal instead would be a surprise."""
    if os.environ.get("BROWSER") or sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
