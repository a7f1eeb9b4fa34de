"""Reachability of a Redis broker: why a connection failed, TLS certificates included, and what to do about it.

Used by all reports of an unreachable broker: the log of a notification, ``/readyz``, the rate limits, the start of a
worker and ``espalier doctor``. OpenSSL's own messages name neither the setting nor the remedy.
"""

import os
import ssl
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from celery import Celery
from kombu.exceptions import KombuError

_VARIABLE = "ESPALIER_BROKER_URL"
_FILE_PARAMETERS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
# verification results of OpenSSL (x509_vfy.h), which the ssl module gives as numbers
_OTHER_HOST = {62, 64}  # HOSTNAME_MISMATCH, IP_ADDRESS_MISMATCH
_UNKNOWN_AUTHORITY = {2, 18, 19, 20, 21}  # no issuer, signed by itself, such an issuer, no local issuer, no way to it
_DATES = {9, 10}  # NOT_YET_VALID, HAS_EXPIRED


class BrokerFault(NamedTuple):
    """Why the broker cannot be used."""

    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.reason}; {self.remedy}"


def connection_fault(app: Celery) -> BrokerFault | None:
    """Connect to the Redis broker of ``app`` and ping it; None when it answers. Takes two seconds at most."""
    with app.connection_for_write() as connection:
        try:
            connection.default_channel  # noqa: B018  # opening it sends Redis a PING
        except (KombuError, OSError, *connection.connection_errors) as error:
            return diagnose(error, app.conf.broker_url)
    return None


def diagnose(error: BaseException, url: str) -> BrokerFault:
    """What ``error``, raised while connecting to or using ``url``, means. Never shows the password of the URL."""
    parts = urlsplit(url)
    if file := _unreadable_file(parts.query):
        return BrokerFault(f"{file} cannot be read", f"correct the path in {_VARIABLE}, or let this process read the file")
    tls_errors = [cause for cause in _chain(error) if isinstance(cause, ssl.SSLError)]
    refused = next((cause for cause in tls_errors if isinstance(cause, ssl.SSLCertVerificationError)), None)
    if refused is not None:
        return _certificate_fault(refused, parts.hostname or "")
    reason = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
    if tls_errors:
        return BrokerFault(f"TLS with the broker failed: {reason}", f"check the ssl_… parameters of {_VARIABLE} and their files")
    hint = " (rediss:// is for a port with TLS, redis:// for one without)"
    return BrokerFault(reason, f"start Redis, or correct {_VARIABLE}{hint}")


def _certificate_fault(error: ssl.SSLCertVerificationError, host: str) -> BrokerFault:
    refused = f"the broker's certificate is refused: {error.verify_message.rstrip('.')}"
    if error.verify_code in _OTHER_HOST:
        remedy = f"write the host in {_VARIABLE} as the certificate has it, or have one issued for {host}"
    elif error.verify_code in _UNKNOWN_AUTHORITY:
        remedy = f"name the certificate of its authority by ssl_ca_certs=/path in {_VARIABLE}"
    elif error.verify_code in _DATES:
        remedy = "renew the certificate, and check the clocks of both hosts"
    else:
        remedy = "have the broker present a certificate that OpenSSL accepts"
    return BrokerFault(refused, remedy)


def _unreadable_file(query: str) -> str | None:
    """The first parameter with a file that this process cannot read, and the file."""
    given = parse_qs(query)
    named = ((name, path) for name in _FILE_PARAMETERS for path in given.get(name, ()))
    return next((f"{name}={path}" for name, path in named if not os.access(path, os.R_OK)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """``error`` and what caused it: redis and kombu wrap the error of the ssl module, with and without ``from``."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
