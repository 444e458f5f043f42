"""A certificate authority for one machine's loopback: the official client speaks HTTPS only.

The authority signs one certificate and its key is thrown away, so who trusts its file trusts nothing else by that.
"""

from __future__ import annotations

import fcntl
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tapeline.errors import Misconfigured

VALID_DAYS: Final = 90
RENEW_BEFORE_DAYS: Final = 7
"""A certificate with less time left is not used again, so that it outlives whatever starts with it."""

_BACKDATED: Final = timedelta(hours=1)
_ADDRESSES: Final = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Certificates:
    """The files of an authority and of the certificate that it signed.

    `authority` is what clients are given (REQUESTS_CA_BUNDLE, SSL_CERT_FILE); `server` holds the server's key as well.
    """

    authority: Path
    server: Path

    def server_context(self) -> ssl.SSLContext:
        """Return the context that a server on 127.0.0.1, ::1 or localhost listens with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server)
        return context


def loopback_certificates(folder: Path, now: datetime) -> Certificates:
    """Return the certificates in `folder`, made anew unless those there are whole and valid for some days after `now`.

    Files are replaced as a whole, and two processes that need them at the same time make them once. Only the owner can
    read the server's key. Raises Misconfigured where the folder cannot be written.
    """
    certificates = Certificates(folder / "ca.pem", folder / "server.pem")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / "lock"):
            if not _usable(certificates, now):
                _make(certificates, now)
    except OSError as error:
        raise Misconfigured(f"{folder}: certificates cannot be kept there: {error.strerror} (name another)") from None
    return certificates


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _usable(certificates: Certificates, now: datetime) -> bool:
    try:
        authority = x509.load_pem_x509_certificate(certificates.authority.read_bytes())
        pem = certificates.server.read_bytes()
        server = x509.load_pem_x509_certificate(pem)
        key = serialization.load_pem_private_key(pem, password=None)
        server.verify_directly_issued_by(authority)
    except (FileNotFoundError, ValueError, TypeError, InvalidSignature):
        return False
    return (
        key.public_key() == server.public_key()
        and server.not_valid_before_utc <= now <= server.not_valid_after_utc - timedelta(days=RENEW_BEFORE_DAYS)
        and certificates.server.stat().st_mode & 0o077 == 0
    )


def _make(certificates: Certificates, now: datetime) -> None:
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_name = _name("Tapeline simulator authority")
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    authority = (
        _builder(authority_name, authority_name, authority_key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    names = [x509.DNSName("localhost"), *(x509.IPAddress(ip_address(address)) for address in _ADDRESSES)]
    server = (
        _builder(_name("Tapeline simulator"), authority_name, server_key, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    private = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(certificates.authority, authority.public_bytes(serialization.Encoding.PEM), 0o644)
    _write(certificates.server, private + server.public_bytes(serialization.Encoding.PEM), 0o600)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, data: bytes, mode: int) -> None:
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)
