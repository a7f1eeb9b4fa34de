"""URLs and addresses in settings: database, object storage, loopback hosts; checked and brought into one form.

Pure functions below ``service.settings``, which validates with them; the database engine and the object storage client parse
with them again.
"""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

_POSTGRES = ("postgres://", "postgresql://", "postgresql+psycopg://")
_TLS_PARAMETERS = {"ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname"}
_STORAGE_SHAPE = "must be s3://bucket[/prefix][?endpoint=https://host:port&region=name&addressing=virtual]"
_ADDRESSING = ("path", "virtual")


@dataclass(frozen=True)
class StorageUrl:
    """``s3://bucket/prefix?endpoint=https://host&region=name&addressing=virtual``; everything but the bucket is optional.

    Never holds credentials: it is stored with artifacts and written to logs.
    """

    bucket: str
    prefix: str
    """The folder that belongs to this service alone, without slashes at its ends; empty: the whole bucket."""
    endpoint: str | None
    """None: AWS."""
    region: str | None
    """None: as the SDK finds it."""
    addressing: str | None = None
    """``virtual``: the bucket is part of the host name; ``path``: of the path. None: path with an endpoint, else AWS's way."""

    def key(self, name: str) -> str:
        """The object key of ``name``, which is relative to the prefix."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def __str__(self) -> str:
        """The URL in its canonical form."""
        given = {"endpoint": self.endpoint, "region": self.region, "addressing": self.addressing}
        query = urlencode({name: value for name, value in given.items() if value}, safe=":/")
        return f"s3://{self.location}" + (f"?{query}" if query else "")

    @property
    def location(self) -> str:
        """Bucket and prefix, for messages."""
        return f"{self.bucket}/{self.prefix}" if self.prefix else self.bucket


def parse_storage_url(url: str) -> StorageUrl:
    """Raises ValueError, never quoting what may be a password."""
    parts = urlsplit(url)
    if "@" in url:
        raise ValueError("must not hold credentials; they belong in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if parts.scheme != "s3" or not parts.netloc or parts.fragment:
        raise ValueError(_STORAGE_SHAPE)
    given = parse_qs(parts.query, keep_blank_values=True)
    if not given.keys() <= {"endpoint", "region", "addressing"} or any(len(values) > 1 for values in given.values()):
        raise ValueError(_STORAGE_SHAPE)
    endpoint = given.get("endpoint", [""])[0].rstrip("/") or None
    if endpoint is not None and not endpoint.startswith(("http://", "https://")):
        raise ValueError("endpoint must be http://… or https://…")
    addressing = given.get("addressing", [""])[0] or None
    if addressing is not None and addressing not in _ADDRESSING:
        raise ValueError(f"addressing must be {' or '.join(_ADDRESSING)}")
    region = given.get("region", [""])[0] or None
    return StorageUrl(parts.netloc, parts.path.strip("/"), endpoint, region, addressing)


def normalize_database_url(url: str) -> str:
    """``url`` with the driver that ships with the service. Raises ValueError for a database that is not supported.

    ``pooler=transaction`` among the parameters of a PostgreSQL URL says that a pooler such as PgBouncer answers there.
    """
    for prefix in _POSTGRES:
        if url.startswith(prefix):
            if not set(parse_qs(urlsplit(url).query, keep_blank_values=True).get("pooler", [])) <= {"transaction"}:
                raise ValueError("pooler must be transaction (it serves poolers in session mode as well)")
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    for prefix in ("sqlite:///", "sqlite+pysqlite:///"):
        path = url.removeprefix(prefix)
        if url.startswith(prefix) and path and not path.startswith(":memory:"):
            return "sqlite:///" + path
    raise ValueError("must be postgresql://… or sqlite:///<file> (several processes share it, so not in memory)")


def verified_broker_url(url: str) -> str:
    """A broker URL whose TLS certificates are checked unless it says otherwise itself.

    ``rediss://`` alone means for kombu that any certificate will do. Parameters: ``ssl_cert_reqs`` (``required``, or ``none``
    to check nothing), ``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile`` (paths), ``ssl_check_hostname``. Raises ValueError
    for other ``ssl_`` parameters, which would have no effect, for them without TLS, and for values that the two clients of
    Redis, kombu's and the API's own, would not understand in the same way.
    """
    given = {name for name in parse_qs(urlsplit(url).query, keep_blank_values=True) if name.startswith("ssl_")}
    if not url.startswith("rediss://"):
        if given:
            raise ValueError(f"{min(given)} needs TLS: write rediss://")
        return url
    if unknown := given - _TLS_PARAMETERS:
        raise ValueError(f"{min(unknown)} is unknown; known are {', '.join(sorted(_TLS_PARAMETERS))}")
    wanted = parse_qs(urlsplit(url).query).get("ssl_cert_reqs", ["required"])
    if wanted not in (["required"], ["none"]):
        raise ValueError("ssl_cert_reqs must be required or none")
    if not set(parse_qs(urlsplit(url).query).get("ssl_check_hostname", ())) <= {"true", "false"}:
        raise ValueError("ssl_check_hostname must be true or false")
    if "ssl_cert_reqs" in given:
        return url
    return f"{url}{'&' if urlsplit(url).query else '?'}ssl_cert_reqs=required"


def unchecked_tls(url: str) -> str | None:
    """What of the broker's certificate this URL, as ``verified_broker_url`` returned it, leaves unchecked; None for nothing."""
    given = parse_qs(urlsplit(url).query)
    if given.get("ssl_cert_reqs") == ["none"]:
        return "the broker's certificate is not checked (ssl_cert_reqs=none): a man in the middle can read the password"
    if given.get("ssl_check_hostname") == ["false"]:
        return "the host in the broker's certificate is not checked (ssl_check_hostname=false): any server of the authority will do"
    return None


def collector_url(url: str) -> str:
    """The URL of a collector of traces, without OTLP's own path. Raises ValueError, never quoting what may be a password."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be http://host:port or https://…")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("must have neither credentials nor a query; credentials belong in OTEL_EXPORTER_OTLP_HEADERS")
    return url.rstrip("/").removesuffix("/v1/traces")


@lru_cache(64)  # the API calls it for every request
def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``, an address or name without its port."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def missing_database_file(url: str) -> Path | None:
    """The file of an SQLite database that does not exist; None where it does, or elsewhere. Connecting would create it."""
    if not url.startswith("sqlite:///"):
        return None
    file = Path(url.removeprefix("sqlite:///").partition("?")[0])
    return None if file.exists() else file
