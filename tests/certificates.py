"""TLS certificates for servers of tests: an authority of their own, and a certificate of 127.0.0.1."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def certificates_in(folder: Path) -> Path:
    """``folder`` with ``ca.pem``, and ``server.pem`` and ``server.key`` of the host 127.0.0.1."""
    ca, ca_key = _signed("Test CA", None, None)
    server, server_key = _signed("127.0.0.1", ca, ca_key)
    (folder / "ca.pem").write_bytes(ca.public_bytes(Encoding.PEM))
    (folder / "server.pem").write_bytes(server.public_bytes(Encoding.PEM))
    key = server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "server.key").write_bytes(key)
    return folder


def _signed(
    name: str, ca: x509.Certificate | None, ca_key: EllipticCurvePrivateKey | None
) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
    """A certificate and its key; without ``ca`` one that signs itself and others."""
    key = generate_private_key(SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder(ca.subject if ca else subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca is None, path_length=None), critical=True)
    )
    if ca is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(name))]), critical=False)
    return builder.sign(ca_key or key, SHA256()), key
