"""Redaction of secrets in text: API keys, hub tokens, webhook secrets, bearer tokens, passwords and signatures in URLs.

Called by ``service.log_format`` for every value of a line, so that an exception of a library that repeats a URL or a header gives
nothing away. What has no mark of its own, such as the token of a private hub, is removed by the one who knows it
(``worker.run.pipes.Redactor``).
"""

import re

SECRET = "[secret]"  # noqa: S105 - what stands in its place
_MARKED = re.compile(
    r"esp_[0-9A-Za-z]{16,}"  # service.access.api_keys
    r"|hf_[0-9A-Za-z]{16,}"
    r"|whsec_[0-9A-Za-z+/]{16,}={0,2}"
)
_NAMED = re.compile(
    r"(?P<name>\bBearer\s+|\b(?:password|passwd|secret_key|aws_secret_access_key|aws_session_token)[\"']?\s*[=:]\s*[\"']?"
    r"|\bX-Amz-(?:Signature|Credential|Security-Token)=)"
    r"[^\s\"'&,;]+",
    re.IGNORECASE,
)
_USER_INFO = re.compile(r"://[^\s/\"'@]+@")
_SHORTEST_KNOWN = 12
"""Characters; a shorter secret may be an ordinary word, and hiding it would damage other lines."""
_known: set[str] = set()


def hide(secret: str) -> None:
    """Replace ``secret`` wherever it appears from now on in this process, in any form."""
    if len(secret) >= _SHORTEST_KNOWN:
        _known.add(secret)


def redact(text: str) -> str:
    """``text`` with ``[secret]`` for secrets and ``***`` for user and password of URLs."""
    for secret in _known:
        text = text.replace(secret, SECRET)
    text = _USER_INFO.sub("://***@", text)
    text = _NAMED.sub(lambda found: found["name"] + SECRET, text)
    return _MARKED.sub(SECRET, text)
