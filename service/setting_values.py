"""Values of settings before they are checked: read from files, taken apart, or left out because Kubernetes set them.

Called by the validators of ``service.settings`` and ``service.place_settings``.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_LINK = re.compile(r"(tcp|udp|sctp)://", re.IGNORECASE)
"""Value that Kubernetes sets for ESPALIER_PORT in containers next to a Service named espalier (enableServiceLinks)."""
log = logging.getLogger(__name__)


def read_files(given: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """``given`` with the text of the file ``NAME_file`` as ``NAME``, for each of ``names`` that has one.

    Unlike environment variables, files can be hidden from other processes of the same user. Raises ValueError for a
    file that cannot be read, or where both are given.
    """
    files = {name: given[f"{name}_file"] for name in names if given.get(f"{name}_file")}
    if twice := [name for name in files if given.get(name)]:
        raise ValueError(f"{twice[0]} and {twice[0]}_file are both set; set one of them")
    try:
        return {**given} | {name: Path(file).expanduser().read_text("utf-8").strip() for name, file in files.items()}
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"a file of {' or '.join(f'{name}_file' for name in files)} cannot be read: {error}") from error


def port_or_default(port: object, default: int) -> object:
    """``port``, or ``default`` and a warning for a service link, which would keep every process from starting."""
    if not isinstance(port, str) or not is_service_link(port):
        return port
    log.warning("ESPALIER_PORT=%s is a Kubernetes service link and not a port: listening on %d", port, default)
    return default


def is_service_link(value: str) -> bool:
    """Whether Kubernetes has set a variable to ``value``, as in ``ESPALIER_PORT=tcp://10.0.0.1:80``."""
    return _LINK.match(value) is not None


def names_of(text: object) -> object:
    """Upper-case names of a text with commas between them; everything else as it is."""
    if not isinstance(text, str):
        return text
    return tuple(name.strip().upper() for name in text.split(",") if name.strip())
