"""Discovery of pruning methods in other packages, by the entry point group ``espalier.methods``.

Called once, when :mod:`pruning.spec.methods` is imported. Only metadata is loaded. A plug-in that cannot be used is left out of the
catalogue, with a warning in the log; a job that names it is refused with the reason, and nothing else of the service is affected.
"""

import logging
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from pruning.spec.method_info import MethodPlugin, fault_of

GROUP = "espalier.methods"
_HEAVY = "torch"
"""Modules that a plug-in's metadata must not import: they would take seconds and hundreds of megabytes in the API."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Discovered:
    """Plug-ins of the installed packages, by the names of methods."""

    plugins: dict[str, MethodPlugin]
    broken: dict[str, str]
    """Package and reason of each plug-in that cannot be used."""


def discover(built_in: Collection[str], found: Iterable[EntryPoint] | None = None) -> Discovered:
    """Load the metadata of all plug-ins; raises nothing for a broken one. ``found``: those installed, unless given."""
    plugins: dict[str, MethodPlugin] = {}
    broken: dict[str, str] = {}
    for entry in sorted(entry_points(group=GROUP) if found is None else found, key=_order):
        package = entry.dist.name if entry.dist is not None else entry.value
        if entry.name in built_in:
            log.warning("method plug-in of %s ignored: %r is a built-in method", package, entry.name)
        elif entry.name in plugins:
            log.warning("method plug-in of %s ignored: another package has method %r", package, entry.name)
        else:
            loaded = _load(entry)
            if isinstance(loaded, MethodPlugin):
                plugins[entry.name] = loaded
                broken.pop(entry.name, None)
                continue
            broken[entry.name] = f"package {package}: {loaded}"
            log.warning("method plug-in %s cannot be used: package %s: %s", entry.name, package, loaded)
    return Discovered(plugins, broken)


def _order(entry: EntryPoint) -> tuple[str, str, str]:
    """Entry points in an order that does not depend on the path."""
    return entry.name, entry.dist.name if entry.dist is not None else "", entry.value


def _load(entry: EntryPoint) -> MethodPlugin | str:
    """The plug-in, or the reason why it cannot be used."""
    was_loaded = _HEAVY in sys.modules
    try:
        plugin = entry.load()
    except (Exception, SystemExit) as fault:  # noqa: BLE001 - code of others: it may fail in any way, and is named
        return f"{entry.value} cannot be imported: {type(fault).__name__}: {fault}"
    if not was_loaded and _HEAVY in sys.modules:
        return f"{entry.value} imports {_HEAVY}; keep the metadata in a module of its own, apart from the class"
    wrong = fault_of(plugin, entry.name)
    if wrong is not None:
        return wrong
    assert isinstance(plugin, MethodPlugin)  # noqa: S101 - for the type checker: fault_of has looked
    return plugin
