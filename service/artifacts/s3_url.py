"""The setting ``storage_url`` taken apart: ``s3://bucket/prefix?endpoint=https://host&region=name``.

Everything but the bucket may be left out. Credentials are never part of it: it is stored with artifacts and shown in logs.
"""

from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

_SHAPE = "must be s3://bucket[/prefix][?endpoint=https://host:port&region=name]"


@dataclass(frozen=True)
class StorageUrl:
    """One bucket, and the folder in it that belongs to this service alone."""

    bucket: str
    prefix: str
    """Without slashes at its ends; empty: the whole bucket."""
    endpoint: str | None
    """None: AWS."""
    region: str | None
    """None: as the SDK finds it."""

    def key(self, name: str) -> str:
        """The object key of ``name``, which is relative to the prefix."""
        return f"{self.prefix}/{name}" if self.prefix else name

    def __str__(self) -> str:
        """The URL in one form, whichever way it was written."""
        given = {"endpoint": self.endpoint, "region": self.region}
        query = urlencode({name: value for name, value in given.items() if value}, safe=":/")
        return f"s3://{self.location}" + (f"?{query}" if query else "")

    @property
    def location(self) -> str:
        """Bucket and prefix, for people."""
        return f"{self.bucket}/{self.prefix}" if self.prefix else self.bucket


def parse_storage_url(url: str) -> StorageUrl:
    """Raises ValueError, never quoting what may be a password."""
    parts = urlsplit(url)
    if "@" in url:
        raise ValueError("must not hold credentials; they belong in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if parts.scheme != "s3" or not parts.netloc or parts.fragment:
        raise ValueError(_SHAPE)
    given = parse_qs(parts.query, keep_blank_values=True)
    if not given.keys() <= {"endpoint", "region"} or any(len(values) > 1 for values in given.values()):
        raise ValueError(_SHAPE)
    endpoint = given.get("endpoint", [""])[0].rstrip("/") or None
    if endpoint is not None and not endpoint.startswith(("http://", "https://")):
        raise ValueError("endpoint must be http://… or https://…")
    return StorageUrl(parts.netloc, parts.path.strip("/"), endpoint, given.get("region", [""])[0] or None)
