"""One webhook request, over TLS and in bounded time."""

import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks.webhooks import Webhook

from service.webhooks.ssrf import Destination
from worker.webhooks.delivery import send, signature

NAME = "receiver.example"


def test_signature_is_the_standards() -> None:
    """Example of the specification, and its library."""
    secret, message_id, body = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", '{"test": 2432232314}')
    assert signature(secret, message_id, 1614265330, body) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    moment = datetime.datetime.fromtimestamp(1614265330, datetime.UTC)
    assert signature(secret, message_id, 1614265330, body) == Webhook(secret).sign(message_id, moment, body)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of NAME, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    plain = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(plain + made.public_bytes(serialization.Encoding.PEM))
    return path


def _request(connection: socket.socket) -> str:
    """All of it: what is left unread when a connection is closed becomes a reset, which overtakes the answer."""
    got = b""
    while True:
        head, end, body = got.partition(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
        if end and len(body) >= length:
            return got.decode()
        piece = connection.recv(65536)
        if not piece:
            return got.decode()
        got += piece


@contextmanager
def serving(answer: bytes, certificate: Path | None = None, *, drip: bool = False) -> Iterator[tuple[int, list[str]]]:
    """A server for one connection: its port, and the names that TLS was asked for and the head of the request."""
    received: list[str] = []
    left = threading.Event()

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        try:
            if certificate is not None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(certificate)
                context.sni_callback = lambda _, name, __: received.append(str(name))
                connection = context.wrap_socket(connection, server_side=True)
            received.append(_request(connection))
            for piece in [bytes([byte]) for byte in answer] if drip else [answer]:
                connection.sendall(piece)
                if drip and left.wait(0.1):
                    break
        except OSError as error:
            received.append(repr(error))
        finally:
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,), daemon=True)
        thread.start()
        yield listening.getsockname()[1], received
        left.set()
        thread.join(10)


def to(scheme: str, port: int, host: str = NAME) -> Destination:
    return Destination(scheme, host, port, "/hook", ("127.0.0.1",))


def test_tls_and_host_header_carry_the_host_name(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", certificate) as (port, received):
        assert send(to("https", port), {"webhook-id": "m"}, "{}", timeout=20).status == 200
    assert received[0] == NAME
    head = received[1].split("\r\n")
    assert head[0] == "POST /hook HTTP/1.1"
    assert f"Host: {NAME}:{port}" in head


def test_a_certificate_for_another_name_is_refused(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with serving(b"HTTP/1.1 200 OK\r\n\r\n", certificate) as (port, received):
        outcome = send(to("https", port, "other.example"), {}, "secret body", timeout=20)
    assert outcome.status is None
    assert "certificate" in str(outcome.error).lower()
    assert not any("secret body" in text for text in received)


def test_a_slow_response_ends_with_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece comes soon enough; all of them together would take minutes."""
    with serving(b"HTTP/1.1 200 OK\r\n" + b"X-Slow: slow\r\n" * 1000, drip=True) as (port, _):
        outcome = send(to("http", port), {}, "{}", timeout=0.5)
    assert (outcome.status, str(outcome.error).split(":")[0]) == (None, "ReadTimeout")


def test_an_endless_body_is_not_read() -> None:
    endless = b"HTTP/1.1 201 Created\r\nContent-Length: 1000000000000\r\n\r\n" + b"x" * 1000
    with serving(endless) as (port, _):
        assert send(to("http", port), {}, "{}", timeout=20).status == 201


def test_an_invalid_response_is_an_error_and_no_exception() -> None:
    with serving(b"SSH-2.0-OpenSSH_9.2\r\n") as (port, _):
        assert str(send(to("http", port), {}, "{}", timeout=20).error).startswith("RemoteProtocolError")
