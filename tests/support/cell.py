"""A cell's authority in a folder, as `unlatch pki init` leaves it, and the certificates of its devices."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from broker.contract.topics import SERVICE_USER
from broker.mosquitto.files import Certificates
from session_service.clock import Clock
from session_service.pki import authority, folder
from session_service.pki.authority import Authority, Identity, Revoked

DAY_MS: Final = 24 * 60 * 60 * 1_000


@dataclass(frozen=True)
class ClientFiles:
    """What a client of the broker has on its disk."""

    ca: Path
    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Return what it connects with."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(self.certificate, self.key)
        return context


class Cell:
    """Signs what tests need. Several may work on one folder, but only one of them may revoke."""

    def __init__(self, pki: Path) -> None:
        self.pki = pki
        self._clock = Clock()
        self._revoked: dict[str, Revoked] = {}
        folder.init(pki, [], self._clock.now_ms())

    @property
    def certificates(self) -> Certificates:
        """What a broker of this cell reads."""
        return Certificates.of(self.pki)

    def client(self, name: str, *, age_days: int = 0) -> ClientFiles:
        """Return the files of the service, or of a new certificate for a device, issued so many days ago."""
        if name == SERVICE_USER:
            return self._files(self.pki / "service.pem", self.pki / "service-key.pem")
        signer = folder.load(self.pki)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = signer.issue_device(request_of(key), name, self._clock.now_ms() - age_days * DAY_MS)
        return self.keep(name, Identity(certificate, key))

    def keep(self, name: str, identity: Identity) -> ClientFiles:
        """Write an identity as a client has it."""
        place = self.pki / "clients" / f"{name}-{identity.certificate.serial_number:x}"
        place.mkdir(parents=True)
        certificate, key = place / "tls-cert.pem", place / "tls-key.pem"
        folder.write(certificate, identity.certificate_pem, 0o644)
        folder.write(key, identity.key_pem, 0o600)
        return self._files(certificate, key)

    def revoke(self, name: str, *clients: ClientFiles, by_list: bool = True, by_name: bool = True) -> None:
        """Do what the service does when a device is revoked; tests may leave one half out."""
        for client in clients if by_list else ():
            serial = x509.load_pem_x509_certificate(client.certificate.read_bytes()).serial_number
            self._revoked[f"{serial}"] = Revoked(serial, self._clock.now_ms())
        denied = {*self.certificates.revoked_devices(), *([name] if by_name else [])}
        folder.publish(self.pki, folder.load(self.pki), self._revoked.values(), denied, self._clock.now_ms())

    def now_ms(self) -> int:
        """Return the time."""
        return self._clock.now_ms()

    def renew_broker(self) -> None:
        """Give the broker a new certificate, as `unlatch pki init` does when its old one is near its end."""
        made = folder.load(self.pki).issue_broker(authority.LOCAL, self.now_ms())
        folder.write(self.pki / "broker-key.pem", made.key_pem, 0o600)
        folder.write(self.pki / "broker.pem", made.certificate_pem, 0o644)

    def begin_anew(self) -> None:
        """Put another authority in the place of this one, with new certificates for broker and service."""
        for path in self.pki.glob("*.pem"):
            path.unlink()
        folder.init(self.pki, [], self.now_ms())

    def _files(self, certificate: Path, key: Path) -> ClientFiles:
        return ClientFiles(self.pki / "ca.pem", certificate, key)


def request_of(key: ec.EllipticCurvePrivateKey) -> str:
    """Return a signing request for a key."""
    nobody = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")])
    request = x509.CertificateSigningRequestBuilder().subject_name(nobody).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def impostor_of(pki: Path) -> Authority:
    """Return an authority of the same name as that of ``pki``, with a key of its own."""
    real = folder.load(pki).identity.certificate
    key = ec.generate_private_key(ec.SECP256R1())
    forged = (
        x509.CertificateBuilder()
        .subject_name(real.subject)
        .issuer_name(real.subject)
        .public_key(key.public_key())
        .serial_number(real.serial_number)
        .not_valid_before(real.not_valid_before_utc)
        .not_valid_after(real.not_valid_after_utc)
        .sign(key, hashes.SHA256())
    )
    return Authority(Identity(forged, key))
