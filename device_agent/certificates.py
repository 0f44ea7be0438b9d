"""Certificates: asking for one, checking the one that comes, and how long it lasts.

The running agent does not import this: X.509 costs a few MiB, and only enrolment, renewal and the self-test need it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from broker.contract.enrolment import Credentials
from device_agent.errors import EnrolmentError, SettingsError

DAY_S: Final = 86_400
RENEW_AFTER: Final = (2, 3)  # of its life; of 90 days, 30 are left for a service or a network that is away


@dataclass(frozen=True, slots=True)
class Life:
    """When a certificate is valid, in Unix seconds."""

    begins_s: int
    ends_s: int

    @property
    def renew_from_s(self) -> int:
        """When to ask for the next one."""
        part, whole = RENEW_AFTER
        return self.begins_s + (self.ends_s - self.begins_s) * part // whole

    def plausible(self, now_s: int) -> bool:
        """Whether a wall clock can be right: the certificate was made after it began to be valid.

        A clock that says otherwise is one that a power cut has set back, as a Raspberry Pi's is, and tells nothing.
        """
        return now_s >= self.begins_s

    def due(self, now_s: int) -> bool:
        """Whether to renew now. By a clock that is behind it never is; by one that is ahead it is early, no harm."""
        return now_s >= self.renew_from_s

    def in_words(self, now_s: int) -> str:
        """Say for people how long it lasts."""
        if not self.plausible(now_s):
            return "days left unknown: the clock is set to a time before the certificate; set it, or wait for NTP"
        days = (self.ends_s - now_s) // DAY_S
        return f"{days} days left" if days >= 0 else "ended; it is renewed when the service can be reached"


def life_of(cert_file: Path) -> Life:
    """Read when a certificate is valid.

    Raises:
        SettingsError: it cannot be read.
    """
    try:
        return _life(x509.load_pem_x509_certificate(cert_file.read_bytes()))
    except (OSError, ValueError, x509.InvalidVersion) as error:
        raise SettingsError(cert_file, f"cannot read the device's certificate ({error}); enrol again") from error


def request(key: EllipticCurvePrivateKey, device: str) -> str:
    """Return a signing request in PEM; the same each time, so that a repeated enrolment is seen to be one."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, device)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.PEM).decode()


def check(credentials: Credentials, key: EllipticCurvePrivateKey, device: str, ca_pem: str) -> Life:
    """Make sure that a new certificate is ours, for this key, and from the authority ``ca_pem``.

    Raises:
        EnrolmentError: it is not.
    """
    certificate = _read(credentials.certificate_pem)
    names = [str(name.value) for name in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    if credentials.device_id != device or names != [device]:
        msg = f"the service sent a certificate for {', '.join(names) or 'nobody'}, not for {device}; is the id right?"
        raise EnrolmentError(msg)
    if certificate.public_key() != key.public_key():
        msg = "the service sent a certificate for another key; try again"
        raise EnrolmentError(msg)
    try:
        certificate.verify_directly_issued_by(_read(ca_pem))
    except (InvalidSignature, TypeError, ValueError) as error:
        msg = f"the certificate is not signed by this cell's authority ({error}); enrol again"
        raise EnrolmentError(msg) from error
    return _life(certificate)


def _read(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except (ValueError, x509.InvalidVersion) as error:
        msg = f"the service sent no certificate ({error}); is --service the address of Unlatch?"
        raise EnrolmentError(msg) from error


def _life(certificate: x509.Certificate) -> Life:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return Life(int(begins.timestamp()), int(ends.timestamp()))
