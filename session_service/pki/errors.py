"""Why a device gets no certificate."""

from __future__ import annotations

from session_service.errors import ConflictError, MalformedError, Problem


class WrongClaimError(Problem):
    """No such device, no claim for it, or another code: a stranger is not told which."""

    status = 403
    type = "wrong-claim"
    title = "This is not the device's claim code"


class ClaimOverError(Problem):
    """The claim was used, is too old, or was tried too often."""

    status = 410
    type = "claim-over"
    title = "This claim code is good no more"


class SigningRequestError(MalformedError):
    """The certificate signing request is not one that may be signed."""

    type = "malformed-signing-request"
    title = "This signing request cannot be used"


class ReportKeyError(MalformedError):
    """It is no public key that can sign reports (DESIGN 3: ES256)."""

    type = "malformed-report-key"
    title = "This is not a public P-256 key"


class KeyUsedError(ConflictError):
    """The device had this key before, and has lost it or been given another."""

    type = "report-key-used"
    title = "This report key has been replaced"


class RenewalRefusedError(Problem):
    """Not signed by the device's current key; a revoked device has none."""

    status = 403
    type = "renewal-refused"
    title = "This renewal is not signed by the device"


class TooManyCertificatesError(ConflictError):
    """The device asks again and again: what it has would fill the list of the revoked one day."""

    type = "too-many-certificates"
    title = "The device has certificates enough"


class NoAuthorityError(Problem):
    """The installation cannot sign certificates."""

    status = 503
    type = "no-authority"
    title = "This service cannot issue certificates"
