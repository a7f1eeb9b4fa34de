"""Listening socket of ``espalier serve`` and ``espalier api``: address checked, bound once, held while the service runs."""

import errno
import ipaddress
import os
import socket
import sys


def refusal(host: str, *, keys_required: bool) -> str | None:
    """Reason why the service must not listen on ``host``; None if it may."""
    if host == "localhost":
        return None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"--host must be an address such as 127.0.0.1, not {host!r}"
    if address.is_loopback or keys_required:
        return None
    return (
        f"{host} can be reached from other machines, and with ESPALIER_REQUIRE_KEYS=false needs no key; "
        "leave that setting out, or listen on 127.0.0.1"
    )


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises OSError with the reason and the remedy."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listening = socket.socket(family, socket.SOCK_STREAM)
    if os.name == "posix" and sys.platform != "cygwin":
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of a former process may still be closing
    try:
        listening.bind(address)
        listening.listen(2048)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise OSError(f"port {port} of {host} is in use; choose another with --port, or --port 0 for a free one") from error
        raise OSError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return listening


def url_of(listening: socket.socket) -> str:
    """Address and port of the socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def url_from_here(listening: socket.socket) -> str:
    """URL of the service from this machine; differs where it listens on every address."""
    return url_of(listening).replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
