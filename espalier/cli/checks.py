"""Health checks of ``espalier doctor``, one function per part of a service. No result shows a password, key or token.

The service's own packages are imported as in ``service_access``, and checked only where this machine has a service.
"""

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from espalier.extras import DISTRIBUTION

if TYPE_CHECKING:
    from service.settings import Settings

State = Literal["ok", "note", "broken"]
_TIMEOUT_SECONDS = 5.0
_PACKAGES = (DISTRIBUTION, "torch", "transformers", "onnxruntime", "boto3")


@dataclass(frozen=True)
class Finding:
    """Result of one check; ``remedy`` says what to do where the part is ``broken``."""

    name: str
    state: State
    detail: str
    remedy: str | None = None


def versions() -> Finding:
    """Versions of Python and of the packages whose presence enables features."""
    found = [f"Python {platform.python_version()}"]
    for package in _PACKAGES:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            found.append(f"no {package}")
    return Finding("versions", "ok", ", ".join(found))


def variables() -> Finding:
    """Names of the settings in the environment (values may be secret), and which of them have no effect."""
    from service.environment import unknown_variables

    names = sorted(name for name in os.environ if name.startswith("ESPALIER_"))
    if unknown := unknown_variables(os.environ):
        return Finding("environment", "note", f"{', '.join(names)}; {'; '.join(unknown.values())}", "unset or correct it")
    return Finding("environment", "ok", ", ".join(names) or "no ESPALIER_… variable is set")


def methods() -> Finding:
    """Pruning methods of other packages, and those that cannot be used."""
    from pruning.spec.methods import BROKEN, PLUGINS

    if BROKEN:
        faults = "; ".join(f"{name}: {reason}" for name, reason in BROKEN.items())
        return Finding("methods", "note", faults, "fix or remove the package; all other methods can be used")
    return Finding("methods", "ok", ", ".join(PLUGINS) or "no plug-ins, only the built-in methods")


def api(url: str, key: str | None) -> Finding:
    """Whether the service answers, is ready, and accepts this key."""
    from espalier.client._sync.client import Client
    from espalier.errors import ApiError, ConfigurationError, NotEspalierError, UnreachableError

    place = _without_password(url)
    try:
        made = Client(url, key, retries=0)
    except ConfigurationError as error:
        return Finding("API", "broken", str(error), "correct --url, --api-key or the variable that it names")
    with made as client:
        try:
            client.page(limit=1)
        except NotEspalierError as error:
            return Finding("API", "broken", str(error), "give the service's own address with --url")
        except UnreachableError as away:
            return Finding("API", "broken", f"{place}: {away.__cause__}", "start it with: espalier serve, or give --url")
        except ApiError as error:
            remedy = "give --api-key, or ESPALIER_API_KEY" if error.status in (401, 403) else "read the API's log"
            return Finding("API", "broken", f"{place}: {error.detail} ({error.code})", remedy)
        try:
            checks = client.ready()
        except ApiError as error:
            return Finding("API", "broken", f"{place}: {error.detail} ({error.code})", "start one with: espalier worker")
    broker = "" if checks.get("broker") == "ok" else ", its broker is unreachable: jobs start some seconds later"
    return Finding("API", "note" if broker else "ok", f"{place} is ready, workers: {checks.get('workers')}{broker}")


def database(settings: "Settings") -> Finding:
    """Whether the database answers and has this version's tables."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    from service.db.engine import Database
    from service.db.migrate import is_current
    from service.urls import missing_database_file

    place = make_url(settings.database_url).render_as_string(hide_password=True)
    if missing_database_file(settings.database_url) is not None:  # connecting would create it
        return Finding("database", "broken", f"{place}: no such file", "run: espalier serve, or espalier db upgrade")
    opened = Database(settings.database_url)
    try:
        current = is_current(opened)
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or type(error).__name__).splitlines()[0]
        remedy = "start it, or correct ESPALIER_DATABASE_URL"
        if "startup parameter" in reason:  # PgBouncer's message for options that it does not pass on
            remedy = "it is a pooler: write pooler=transaction among the parameters of ESPALIER_DATABASE_URL"
        return Finding("database", "broken", f"{place}: {reason}", remedy)
    finally:
        opened.dispose()
    if not current:
        return Finding("database", "broken", f"{place} does not have this version's tables", "run: espalier db upgrade")
    return Finding("database", "ok", place)


def broker(settings: "Settings") -> Finding:
    """Whether wake-up messages can be sent, and the broker's address; without a broker jobs still start, only later."""
    if settings.broker_url.startswith("filesystem"):
        usable = os.access(settings.data_dir, os.W_OK)
        detail = f"files in {settings.data_dir}"
        remedy = None if usable else "make the folder writable for the service"
        return Finding("broker", "ok" if usable else "broken", detail, remedy)
    from service.broker import celery_app
    from service.broker_connection import connection_fault
    from service.urls import unchecked_tls

    place = _without_password(settings.broker_url)
    if fault := connection_fault(celery_app(settings)):
        return Finding("broker", "broken", f"{place}: {fault.reason}", fault.remedy)
    if unchecked := unchecked_tls(settings.broker_url):
        return Finding("broker", "note", f"{place}: {unchecked}", "name the authority by ssl_ca_certs=/path instead")
    return Finding("broker", "ok", place)


def storage(settings: "Settings") -> Finding:
    """Where artifacts are stored, and whether that storage answers."""
    if settings.storage_url is None:
        return Finding("storage", "ok", "artifacts in the database")
    from service.artifacts.s3 import open_bucket
    from service.errors import StorageUnavailableError

    place = _without_password(settings.storage_url)
    try:
        next(open_bucket(settings.storage_url).list_pages(""), None)
    except StorageUnavailableError as error:
        return Finding("storage", "broken", f"{place}: {error}", "correct ESPALIER_STORAGE_URL or the AWS_… variables")
    return Finding("storage", "ok", place)


def hub(enabled: bool) -> Finding:
    """Whether models can be downloaded; local ones do not need it."""
    import httpx

    place = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    if not enabled or os.environ.get("HF_HUB_OFFLINE") in ("1", "true", "True", "ON", "YES"):
        return Finding("hub", "note", "switched off: only local models and data sets")
    try:
        httpx.head(place, timeout=_TIMEOUT_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        shown = _without_password(place)
        return Finding("hub", "note", f"{shown} does not answer ({type(error).__name__}): only local and cached models")
    return Finding("hub", "ok", f"{_without_password(place)} answers")


def devices() -> Finding:
    """Devices that training on this machine would use."""
    try:
        import torch
    except ImportError:
        return Finding(
            "devices", "note", "no torch: this machine cannot train or use masks (pip install 'espalier-pruning[train]')"
        )
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return Finding("devices", "ok", ", ".join(names) or f"CPU, {os.cpu_count()} cores")


def kernels() -> Finding:
    """Whether the kernels for scores are compiled or plain PyTorch."""
    try:
        from pruning.masking.kernels import dispatch as found
    except ImportError:
        return Finding("kernels", "note", "no torch")
    why = found.unavailable_reason()
    return Finding("kernels", "note", f"plain, slower on the CPU: {why}") if why else Finding("kernels", "ok", "native")


def service(settings: "Settings", explicit: bool) -> Iterator[Finding]:
    """Database, broker and storage; only a note where this machine has no service and ``explicit`` is not set."""
    if not explicit and settings.database_url.startswith("sqlite") and not settings.data_dir.exists():
        yield Finding("service", "note", f"none on this machine: there is no folder {settings.data_dir}")
        return
    yield database(settings)
    yield broker(settings)
    yield storage(settings)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return parts._replace(netloc=f"***@{parts.netloc.rpartition('@')[2]}").geturl()
