"""A cell's certificate authority (RFC 5280): what it signs, and nothing about where that is kept.

One authority a cell, with nothing between it and what it signs: it has a thousand times fewer certificates to answer
for than a public one, and who holds its key could enrol devices anyway. P-256 throughout, because secure elements have
it. Names of devices come from the service and never from a request.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from broker.contract import topics

CA_DAYS: Final = 3_650  # a new one has to reach every device first, which nobody does often
HOUSE_DAYS: Final = 397  # the broker's and the service's: as long as browsers allow, `unlatch pki init` renews them
DEVICE_DAYS: Final = 90  # a stolen card is worth no more; devices renew at two thirds, and have a month to manage it
CRL_DAYS: Final = 30  # OpenSSL refuses everybody once a list is out of date, and the service renews it every day
BACKDATED: Final = timedelta(minutes=5)  # the clocks of a cell's machines agree within that
BROKER_NAME: Final = "broker"  # for people; clients look at the names and addresses beside it (RFC 9525)
LOCAL: Final = ("localhost", "127.0.0.1")
HOST_NAME: Final = re.compile(r"(?=.{1,253}$)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*", re.ASCII | re.IGNORECASE)
_SHA256: Final = hashes.SHA256()


class RequestError(ValueError):
    """A signing request that is not to be signed; the message says why."""


@dataclass(frozen=True, slots=True, repr=False)
class Identity:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: EllipticCurvePrivateKey

    @classmethod
    def of_pem(cls, certificate_pem: str, key_pem: str) -> Identity:
        """Read both.

        Raises:
            ValueError: they are damaged, no P-256 key, or do not belong together.
        """
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
        key = load_pem_private_key(key_pem.encode(), password=None)
        if not isinstance(key, EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            msg = "the key is not the certificate's"
            raise ValueError(msg)
        return cls(certificate, key)

    @property
    def certificate_pem(self) -> str:
        """The certificate."""
        return pem_of(self.certificate)

    @property
    def key_pem(self) -> str:
        """The private key, not encrypted; for files of mode 0600."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@dataclass(frozen=True, slots=True)
class Revoked:
    """A certificate that counts no more, since ``at_ms`` (real time)."""

    serial: int
    at_ms: int


@dataclass(frozen=True, slots=True, repr=False)
class Authority:
    """Signs what a cell needs. Every ``now_ms`` is real time in milliseconds since the epoch."""

    identity: Identity

    @classmethod
    def new(cls, now_ms: int) -> Authority:
        """Make an authority with a new key, good for ten years; it can sign certificates but no authorities."""
        key = generate_private_key(SECP256R1())
        # Two cells never have authorities of one name: OpenSSL picks the issuer by it.
        name = _name(f"Unlatch cell {token_hex(4)}")
        builder = _certificate(name, name, key.public_key(), now_ms, CA_DAYS)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
        return cls(Identity(builder.sign(key, _SHA256), key))

    @property
    def ca_pem(self) -> str:
        """The certificate that everybody in the cell trusts."""
        return self.identity.certificate_pem

    def issue_broker(self, hosts: Sequence[str], now_ms: int) -> Identity:
        """Return a new key and certificate for the broker, which is reached by these names and addresses.

        Raises:
            ValueError: one is no host name and no address, or there is none.
        """
        if not hosts:
            msg = "a broker has at least one name or address"
            raise ValueError(msg)
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        return self._issue_house(BROKER_NAME, ExtendedKeyUsageOID.SERVER_AUTH, now_ms, names)

    def issue_service(self, now_ms: int, instance: int = 0) -> Identity:
        """Return a new key and certificate with which the service, or one of its instances, connects to the broker.

        Raises:
            ValueError: the broker knows no instance of this number.
        """
        return self._issue_house(topics.service_user(instance), ExtendedKeyUsageOID.CLIENT_AUTH, now_ms)

    def issue_device(self, csr_pem: str, device_id: str, now_ms: int) -> x509.Certificate:
        """Return a certificate for the key of a signing request, in the name of ``device_id`` whatever that says.

        Nothing but the key is taken from the request.

        Raises:
            RequestError: it is no request, not signed with its own key, or that key is not P-256.
        """
        return self.issue_for(key_of_request(csr_pem), device_id, now_ms)

    def issue_for(self, public: EllipticCurvePublicKey, device_id: str, now_ms: int) -> x509.Certificate:
        """Return a certificate for the key that ``key_of_request`` has found in a device's request."""
        return self._issue(device_id, public, ExtendedKeyUsageOID.CLIENT_AUTH, now_ms, DEVICE_DAYS)

    def revocation_list(self, revoked: Iterable[Revoked], now_ms: int) -> str:
        """Return the signed list of certificates that count no more, in PEM. Its number is its time."""
        issued = _moment(now_ms)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.identity.certificate.subject)
            .last_update(issued - BACKDATED)
            .next_update(issued + timedelta(days=CRL_DAYS))
            .add_extension(x509.CRLNumber(now_ms), critical=False)
            .add_extension(self._key_identifier(), critical=False)
        )
        for each in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(each.serial).revocation_date(_moment(each.at_ms))
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.identity.key, _SHA256).public_bytes(Encoding.PEM).decode()

    def _issue_house(
        self, name: str, use: x509.ObjectIdentifier, now_ms: int, names: x509.SubjectAlternativeName | None = None
    ) -> Identity:
        key = generate_private_key(SECP256R1())
        return Identity(self._issue(name, key.public_key(), use, now_ms, HOUSE_DAYS, names), key)

    def _issue(
        self,
        name: str,
        public: EllipticCurvePublicKey,
        use: x509.ObjectIdentifier,
        now_ms: int,
        days: int,
        names: x509.SubjectAlternativeName | None = None,
    ) -> x509.Certificate:
        builder = _certificate(_name(name), self.identity.certificate.subject, public, now_ms, days)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=True)
        builder = builder.add_extension(self._key_identifier(), critical=False)
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.identity.key, _SHA256)

    def _key_identifier(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.identity.key.public_key())


def key_of_request(csr_pem: str) -> EllipticCurvePublicKey:
    """Return the key for which a certificate is asked, once the request proves that its sender has it.

    Raises:
        RequestError: it is no request, not signed with its own key, or that key is not P-256.
    """
    try:
        request = x509.load_pem_x509_csr(csr_pem.encode())
        public, is_proven = request.public_key(), request.is_signature_valid
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm, InvalidSignature) as error:
        msg = "it is no certificate signing request (PKCS#10, PEM)"
        raise RequestError(msg) from error
    if not isinstance(public, EllipticCurvePublicKey) or not isinstance(public.curve, SECP256R1):
        msg = "its key is not P-256"
        raise RequestError(msg)
    if not is_proven:
        msg = "it is not signed with its own key"
        raise RequestError(msg)
    return public


def pem_of(certificate: x509.Certificate) -> str:
    """Return a certificate in PEM."""
    return certificate.public_bytes(Encoding.PEM).decode()


def milliseconds(moment: datetime) -> int:
    """Return a moment of a certificate as the database keeps it."""
    return round(moment.timestamp() * 1000)


def hosts_of(certificate: x509.Certificate) -> list[str]:
    """Return the names and addresses for which a server's certificate is good."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in names]


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms // 1000, UTC)


def _certificate(
    subject: x509.Name, issuer: x509.Name, public: EllipticCurvePublicKey, now_ms: int, days: int
) -> x509.CertificateBuilder:
    begin = _moment(now_ms)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())  # 159 random bits
        .not_valid_before(begin - BACKDATED)
        .not_valid_after(begin + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        if not HOST_NAME.fullmatch(host):
            msg = f"{host!r} is no host name and no IP address"
            raise ValueError(msg) from None
        return x509.DNSName(host)
