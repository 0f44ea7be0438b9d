"""Rules of device identity: who may have a certificate, whose reports count, and who is out.

A claim lets a device in once: a person who stands before it types its code. From then on the device's own report key
speaks for it, and renews its certificate. Who has neither needs a new claim, which an operator gives.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from sqlalchemy import Connection

from broker.contract import keys
from broker.contract.enrolment import Renewal
from broker.contract.envelope import RejectedError, open_sealed
from session_service import audit
from session_service.clock import new_id
from session_service.pki import repository
from session_service.pki.authority import Authority, RequestError, Revoked, key_of_request, milliseconds, pem_of
from session_service.pki.claims import is_code
from session_service.pki.errors import (
    ClaimOverError,
    KeyUsedError,
    RenewalRefusedError,
    ReportKeyError,
    SigningRequestError,
    TooManyCertificatesError,
    WrongClaimError,
)
from session_service.pki.model import DeviceCertificate, DeviceClaim, DeviceKey

CLAIM_MS: Final = 86_400_000  # 24 h: registered in the morning, mounted by the evening
MAX_TRIES: Final = 5  # wrong codes; people mistype twice
DAY_MS: Final = 86_400_000
MAX_CERTIFICATES_A_DAY: Final = 20  # one in 60 days is usual; an agent that dies while it renews asks for some more

ASK_FOR_CLAIM: Final = (
    "Ask an operator for a new one: POST /v1/ops/devices/{device_id}/claims, or unlatch device claim."
)


@dataclass(frozen=True, slots=True)
class Application:
    """A new device's application, as far as it can be checked by itself; ``request`` is the hash of its CSR."""

    device_id: str
    claim: str
    tls_key: EllipticCurvePublicKey
    report_key: EllipticCurvePublicKey
    request: str


# -- Claims


def new_claim(connection: Connection, device_id: str, now_ms: int) -> DeviceClaim:
    """Return a new claim for a device; one that is open is good no more. ``claims.code_of`` has its code."""
    repository.lock_device(connection, device_id)
    repository.void_claims(connection, device_id, now_ms)
    claim = DeviceClaim(id=new_id(), device_id=device_id, created_at_ms=now_ms, expires_at_ms=now_ms + CLAIM_MS)
    repository.add_claim(connection, claim)
    return claim


def count_wrong(connection: Connection, device_id: str) -> None:
    """Count a wrong code for a device's open claim. The caller has locked the device since before it was compared."""
    repository.count_try(connection, device_id)


# -- Enrolment


def application(device_id: str, claim: str, csr_pem: str, report_key_pem: str) -> Application:
    """Return an application, or refuse what can never be granted: that costs no try.

    Raises:
        SigningRequestError: the signing request cannot be signed.
        ReportKeyError: the report key is no public P-256 key in PEM.
    """
    return Application(device_id, claim, _key_of(csr_pem), report_key(report_key_pem), _sha256(csr_pem))


def enrol(
    connection: Connection, signer: Authority, secret: bytes, asked: Application, now_ms: int
) -> DeviceCertificate:
    """Let a device in: use its claim, make its report key the current one, and return its certificate.

    What the device had before is worth nothing from then on: its certificates are revoked, its key is history.

    Raises:
        WrongClaimError: the code is wrong, or there is no such device; ``count_wrong`` is then the caller's to call.
        ClaimOverError: the claim was used, is too old, or was tried too often.
        KeyUsedError: the device had this report key before.
    """
    device_id = asked.device_id
    if repository.lock_device(connection, device_id) is not False:
        raise _wrong_claim()
    claim = repository.newest_claim(connection, device_id)
    _check_claim(claim, secret, asked, now_ms)
    if claim is None or not repository.use_claim(connection, claim.id, now_ms):
        msg = f"It has been used. {ASK_FOR_CLAIM}"
        raise ClaimOverError(msg)
    key_id = _set_report_key(connection, device_id, asked.report_key, now_ms)
    repository.revoke_certificates(connection, device_id, "enrolled anew", now_ms)
    issued = signer.issue_for(asked.tls_key, device_id, now_ms)
    certificate = _keep(connection, issued, device_id, asked.request)
    _audit(connection, device_id, "device.enrol", f"certificate {certificate.serial}, report key {key_id}", now_ms)
    return certificate


def _check_claim(claim: DeviceClaim | None, secret: bytes, asked: Application, now_ms: int) -> None:
    if claim is None:
        raise _wrong_claim()
    is_open = claim.used_at_ms is None
    if is_open and claim.tries >= MAX_TRIES:
        msg = f"It was tried {MAX_TRIES} times. {ASK_FOR_CLAIM}"
        raise ClaimOverError(msg)
    if not is_code(secret, asked.device_id, claim.id, asked.claim):
        raise _wrong_claim(MAX_TRIES - claim.tries - 1 if is_open else 0)
    if now_ms >= claim.expires_at_ms:
        msg = f"It was good for {CLAIM_MS // 3_600_000} hours. {ASK_FOR_CLAIM}"
        raise ClaimOverError(msg)


def _wrong_claim(left: int = 0) -> WrongClaimError:
    tries = f" {left} tries are left." if left else ""
    msg = f"Compare device id and code with what the operator has.{tries} {ASK_FOR_CLAIM}"
    return WrongClaimError(msg)


# -- Renewal


def renew(connection: Connection, signer: Authority, device_id: str, renewal: str, now_ms: int) -> DeviceCertificate:
    """Return a new certificate to a device that has signed its request with its current report key.

    The certificate it has stays good. A request has no date, for a device may not know it: one that is repeated gets
    the same certificate until that has half of its life behind it, so who replays it gains nothing.

    Raises:
        RenewalRefusedError: it is not signed with that key; a revoked device has none.
        SigningRequestError: the signing request cannot be signed.
        TooManyCertificatesError: the device has asked too often today.
    """
    is_revoked = repository.lock_device(connection, device_id)
    current = None if is_revoked is not False else repository.current_key(connection, device_id)
    asked = _opened(device_id, current, renewal)
    request = _sha256(renewal)
    before = repository.certificate_for(connection, device_id, request)
    if before is not None and before.revoked_at_ms is None and now_ms * 2 < before.not_before_ms + before.not_after_ms:
        return before
    if repository.issued_since(connection, device_id, now_ms - DAY_MS) >= MAX_CERTIFICATES_A_DAY:
        msg = f"It got {MAX_CERTIFICATES_A_DAY} within a day. Use the newest, and look why the agent asks again."
        raise TooManyCertificatesError(msg)
    issued = signer.issue_for(_key_of(asked.csr_pem), device_id, now_ms)
    certificate = _keep(connection, issued, device_id, request)
    _audit(connection, device_id, "device.renew", f"certificate {certificate.serial}", now_ms)
    return certificate


def _opened(device_id: str, current: DeviceKey | None, renewal: str) -> Renewal:
    refused = f"Sign it with the report key that the device enrolled with. If it is lost: {ASK_FOR_CLAIM}"
    if current is None:
        raise RenewalRefusedError(refused)
    public = keys.load_public(current.pem)
    try:
        asked = open_sealed(renewal.encode(errors="surrogatepass"), Renewal, lambda _: public)
    except RejectedError as error:
        raise RenewalRefusedError(refused, reason=error.reason) from error
    if asked.device != device_id:
        raise RenewalRefusedError(refused, reason="wrong_device")
    return asked


def _keep(connection: Connection, issued: x509.Certificate, device_id: str, request: str) -> DeviceCertificate:
    certificate = DeviceCertificate(
        serial=f"{issued.serial_number:x}",
        device_id=device_id,
        request=request,
        not_before_ms=milliseconds(issued.not_valid_before_utc),
        not_after_ms=milliseconds(issued.not_valid_after_utc),
        pem=pem_of(issued),
    )
    repository.add_certificate(connection, certificate)
    return certificate


# -- Report keys


def set_report_key(connection: Connection, device_id: str, pem: str, now_ms: int) -> str:
    """Make a key the one that a device's reports are verified with, from now on; return its name.

    Raises:
        ReportKeyError: it is no public P-256 key in PEM.
        KeyUsedError: the device had it before and lost it since.
    """
    return _set_report_key(connection, device_id, report_key(pem), now_ms)


def _set_report_key(connection: Connection, device_id: str, public: EllipticCurvePublicKey, now_ms: int) -> str:
    key_id = keys.key_id(public)
    known = repository.key(connection, device_id, key_id)
    if known is None:
        repository.end_key(connection, device_id, now_ms)
        repository.add_key(
            connection,
            DeviceKey(device_id=device_id, key_id=key_id, pem=keys.public_pem(public), valid_from_ms=now_ms),
        )
    elif known.ended_at_ms is not None:
        msg = "Make a new key: this one was taken out of use, because somebody else may have it."
        raise KeyUsedError(msg)
    return key_id


def report_key(pem: str) -> EllipticCurvePublicKey:
    """Read a key that is to sign reports.

    Raises:
        ReportKeyError: it is no public P-256 key in PEM.
    """
    try:
        key = keys.load_public(pem)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, EllipticCurvePublicKey):
        msg = "Send the public half of the device's P-256 key as PEM, as `unlatch-agent` prints it."
        raise ReportKeyError(msg)
    return key


# -- Revocation


def revoke(connection: Connection, device_id: str, why: str, now_ms: int) -> int:
    """Take everything from a device by which it is known; return how many certificates that were."""
    repository.void_claims(connection, device_id, now_ms)
    repository.end_key(connection, device_id, now_ms)
    return repository.revoke_certificates(connection, device_id, why, now_ms)


def who_is_out(connection: Connection, now_ms: int) -> tuple[list[Revoked], list[str]]:
    """Return the revoked certificates and the ids of the revoked devices.

    Certificates that have ended by themselves are left out a day later (RFC 5280, 3.3): every broker refuses them.
    """
    rows = repository.revoked_certificates(connection, now_ms - DAY_MS)
    revoked = [Revoked(int(row.serial, 16), row.revoked_at_ms or 0) for row in rows]
    return revoked, repository.denied_devices(connection)


def _key_of(csr_pem: str) -> EllipticCurvePublicKey:
    try:
        return key_of_request(csr_pem)
    except RequestError as error:
        msg = f"Send another: {error}. The agent makes a good one: unlatch-agent enrol."
        raise SigningRequestError(msg) from error


def _audit(connection: Connection, device_id: str, action: str, why: str, now_ms: int) -> None:
    who = f"device:{device_id}"
    audit.record(connection, at_ms=now_ms, actor=who, action=action, subject=who, why=why)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
