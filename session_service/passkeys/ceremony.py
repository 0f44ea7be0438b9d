"""WebAuthn itself: what browsers are asked for, and whether what they answer is true. The checks are py_webauthn's.

Passkeys are discoverable, so that nobody has to remember a name; no attestation is asked for, because which make of
phone a rider has is nobody's business here.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, options_to_json_dict, parse_client_data_json
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from session_service.credentials import origin_of
from session_service.passkeys.challenges import CHALLENGE_MS
from session_service.passkeys.errors import PasskeyRefusedError, PasskeysNotOfferedError
from session_service.passkeys.model import CREDENTIAL_ID_CHARS, Passkey
from session_service.settings import Settings

logger = logging.getLogger(__name__)

PUBLIC_KEY_MAX_BYTES: Final = 1_100  # RSA with 8,192 bits; what authenticators make has 77 to 550
TRANSPORTS_CHARS: Final = 80  # of the column; all six of them have 39

_HANDLE: Final = b"unlatch passkey user handle 1\n"
_AGAIN: Final = "Begin again: ask for new options, and let the browser show its dialogue."


@dataclass(frozen=True, slots=True)
class Site:
    """Who asks for a passkey: the relying party's id and name, and the origin of its pages."""

    rp_id: str
    origin: str
    name: str


def site_of(settings: Settings) -> Site:
    """Return who riders' browsers see.

    Raises:
        PasskeysNotOfferedError: browsers make no passkeys for an IP address, and outside of localhost none without TLS.
    """
    parts = urlsplit(settings.public_url.lower())
    host = parts.hostname or ""
    is_local = host == "localhost" or host.endswith(".localhost")
    if _is_address(host) or not (is_local or parts.scheme == "https"):
        msg = (
            f"Passkeys need a domain name and https, and riders reach this service at {settings.public_url}. Go on as "
            "a guest; the operator can set UNLATCH_PUBLIC_URL to https:// and a name."
        )
        raise PasskeysNotOfferedError(msg)
    return Site(host, origin_of(settings.public_url), settings.brand)


def is_offered(settings: Settings) -> bool:
    """Return whether there are passkeys here."""
    try:
        site_of(settings)
    except PasskeysNotOfferedError:
        return False
    return True


def user_handle(secret: bytes, rider_id: str) -> str:
    """Return what a rider's first authenticator is to call the rider: opaque, and not the id itself (14.6.1)."""
    return bytes_to_base64url(hmac.digest(secret, _HANDLE + rider_id.encode(), hashlib.sha256))


def short_name(rider_id: str) -> str:
    """Return what tells a rider's accounts apart among the browser's passkeys and on the own page, in any language."""
    return rider_id[-4:]


# -- What browsers are asked for


def registration_options(
    site: Site, rider_id: str, handle: str, challenge: bytes, known: Sequence[Passkey]
) -> dict[str, Any]:
    """Return ``PublicKeyCredentialCreationOptionsJSON``."""
    options = webauthn.generate_registration_options(
        rp_id=site.rp_id,
        rp_name=site.name,
        user_id=base64url_to_bytes(handle),
        user_name=short_name(rider_id),
        challenge=challenge,
        timeout=CHALLENGE_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.PREFERRED
        ),
        exclude_credentials=[_descriptor(passkey) for passkey in known],
    )
    return options_to_json_dict(options)


def sign_in_options(site: Site, challenge: bytes) -> dict[str, Any]:
    """Return ``PublicKeyCredentialRequestOptionsJSON`` for whichever passkey of this site there is."""
    options = webauthn.generate_authentication_options(
        rp_id=site.rp_id,
        challenge=challenge,
        timeout=CHALLENGE_MS,
        user_verification=UserVerificationRequirement.PREFERRED,
    )
    return options_to_json_dict(options)


def _descriptor(passkey: Passkey) -> PublicKeyCredentialDescriptor:
    transports = [AuthenticatorTransport(name) for name in passkey.transports.split(",") if name]
    return PublicKeyCredentialDescriptor(id=base64url_to_bytes(passkey.credential_id), transports=transports)


# -- What they answer


class Made(NamedTuple):
    """A passkey as its authenticator made it, in base64url."""

    credential_id: str
    public_key: str
    sign_count: int
    transports: str
    synced: bool


class Shown(NamedTuple):
    """What a passkey proved: the authenticator's counter after it, and whether it is kept in more than one place."""

    sign_count: int
    synced: bool


def challenge_in(credential: dict[str, Any]) -> bytes:
    """Return the challenge that an answer says it is for. Whether it is ours is for the caller to see.

    Raises:
        PasskeyRefusedError: there is none, or a page of another site had ours in a frame (7.1 and 7.2).
    """
    try:
        said = parse_client_data_json(base64url_to_bytes(credential["response"]["clientDataJSON"]))
    except Exception as error:
        raise _refused(error) from error
    if said.cross_origin:
        msg = f"This comes from within another site's page. {_AGAIN}"
        raise PasskeyRefusedError(msg)
    return said.challenge


def check_registration(site: Site, challenge: bytes, credential: dict[str, Any]) -> Made:
    """Return the passkey that an authenticator has made for this challenge (WebAuthn 3, 7.1).

    Raises:
        PasskeyRefusedError: it has not, or it is of a size that none has.
    """
    try:
        made = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
        )
    except Exception as error:
        raise _refused(error) from error
    name = bytes_to_base64url(made.credential_id)
    if len(made.credential_public_key) > PUBLIC_KEY_MAX_BYTES or len(name) > CREDENTIAL_ID_CHARS:
        msg = f"This key is longer than any authenticator's. {_AGAIN}"
        raise PasskeyRefusedError(msg)
    if name != credential["id"]:
        msg = f"The answer names two different passkeys. {_AGAIN}"
        raise PasskeyRefusedError(msg)
    transports = credential["response"].get("transports") or []
    known = {str(name) for name in transports} & {str(it.value) for it in AuthenticatorTransport}
    return Made(
        name,
        bytes_to_base64url(made.credential_public_key),
        made.sign_count,
        ",".join(sorted(known)),
        made.credential_backed_up,
    )


def check_sign_in(site: Site, challenge: bytes, credential: dict[str, Any], passkey: Passkey) -> Shown:
    """Return what an authenticator has proven with this passkey (WebAuthn 3, 7.2). The counter is the caller's to hold.

    Raises:
        PasskeyRefusedError: it has proven nothing.
    """
    try:
        shown = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
            credential_public_key=base64url_to_bytes(passkey.public_key),
            credential_current_sign_count=0,  # what is wrong with it is known only once the signature is right
        )
    except Exception as error:
        raise _refused(error) from error
    return Shown(shown.new_sign_count, shown.credential_backed_up)


def _refused(error: Exception) -> PasskeyRefusedError:
    """Whatever parsers of CBOR, COSE and X.509 raise for a stranger's bytes, they are the stranger's fault."""
    logger.info("passkey refused: %s: %s", type(error).__name__, error)
    return PasskeyRefusedError(_AGAIN)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
