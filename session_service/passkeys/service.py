"""The rules of passkeys: a rider adds some, signs in with one, removes one."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from session_service import audit, clock
from session_service.errors import NotFoundError
from session_service.ledger import service as ledger
from session_service.passkeys import ceremony, repository
from session_service.passkeys.ceremony import Site
from session_service.passkeys.challenges import RANDOM_BYTES, For, seal, unseal
from session_service.passkeys.errors import (
    ClonedPasskeyError,
    GuestLeftBehindError,
    PasskeyRefusedError,
    TooManyPasskeysError,
    UnknownPasskeyError,
)
from session_service.passkeys.model import Passkey
from session_service.riders import service as riders
from session_service.riders.token import RiderIdentity

logger = logging.getLogger(__name__)

PASSKEYS_MAX: Final = 10  # a person has two phones, a laptop and a key of metal; each is sent to the browser as known
_LATE: Final = "This took too long, or was sent before. Begin again."


@dataclass(frozen=True, slots=True)
class Passkeys:
    """The rules, with the site and the secret that they need. Its methods are units of work."""

    site: Site
    secret: bytes

    # -- Adding

    def adding_options(self, connection: Connection, rider: RiderIdentity, now_ms: int) -> dict[str, Any]:
        """Return what the browser needs to make a passkey for a rider.

        Raises:
            NotSignedInError: there is no such rider, or the token has been revoked.
        """
        riders.require(connection, rider)
        known = repository.of_rider(connection, rider.id)
        challenge = seal(self.secret, For.ADDING, rider.id, secrets.token_bytes(RANDOM_BYTES), now_ms)
        return ceremony.registration_options(self.site, rider.id, self._handle(rider.id, known), challenge, known)

    def add(self, connection: Connection, rider: RiderIdentity, credential: dict[str, Any], now_ms: int) -> Passkey:
        """Keep a passkey that the rider's authenticator has made.

        Raises:
            NotSignedInError: there is no such rider, or the token has been revoked.
            PasskeyRefusedError: the authenticator's answer proves nothing, or the passkey is known already.
            TooManyPasskeysError: the rider has enough of them.
        """
        ledger.lock_wallet(connection, rider.id)  # one after the other with the rider's erasure,
        riders.require(connection, rider)  # and in a statement of its own: it sees what that one has committed
        made = ceremony.check_registration(
            self.site, self._take_challenge(connection, For.ADDING, rider.id, credential, now_ms), credential
        )
        known = repository.of_rider(connection, rider.id)
        if len(known) >= PASSKEYS_MAX:
            msg = f"Remove one of the {PASSKEYS_MAX} first: DELETE /v1/riders/me/passkeys/ID"
            raise TooManyPasskeysError(msg, limit=PASSKEYS_MAX)
        passkey = Passkey(
            id=clock.new_id(),
            rider_id=rider.id,
            user_handle=self._handle(rider.id, known),
            created_at_ms=now_ms,
            **made._asdict(),
        )
        if not repository.add(connection, passkey):
            msg = "This passkey is kept here already. Sign in with it, or let the browser make another one."
            raise PasskeyRefusedError(msg)
        _audit(connection, passkey, "passkey.add", now_ms)
        return passkey

    def _handle(self, rider_id: str, known: list[Passkey]) -> str:
        """Return the rider's user handle: it stays the first one's, even if the secret is replaced."""
        return known[0].user_handle if known else ceremony.user_handle(self.secret, rider_id)

    # -- Signing in

    def sign_in_options(self, now_ms: int) -> dict[str, Any]:
        """Return what the browser needs to ask for any passkey of this site."""
        challenge = seal(self.secret, For.SIGNING_IN, "", secrets.token_bytes(RANDOM_BYTES), now_ms)
        return ceremony.sign_in_options(self.site, challenge)

    def sign_in(self, connection: Connection, credential: dict[str, Any], now_ms: int) -> RiderIdentity:
        """Return the rider whose passkey this is, with the nonce that is in force.

        Tokens and cookies made before stay good: a person may have two phones, and signing in on the second must not
        end a ride's page on the first. Who has lost a phone asks for a new token, which ends all others
        (``POST /v1/riders/me/tokens``).

        Raises:
            UnknownPasskeyError: nobody has this passkey.
            PasskeyRefusedError: the authenticator's answer proves nothing.
            ClonedPasskeyError: its counter did not go up.
        """
        challenge = self._take_challenge(connection, For.SIGNING_IN, "", credential, now_ms)
        passkey = repository.by_credential(connection, credential["id"])
        if passkey is None:
            msg = "Choose another passkey, or go on as a guest. You can delete this one from your phone."
            raise UnknownPasskeyError(msg, credential_id=credential["id"])
        if credential["response"].get("userHandle") != passkey.user_handle:
            msg = "The answer does not name its rider. Begin again with a passkey that your phone offers."
            raise PasskeyRefusedError(msg)
        shown = ceremony.check_sign_in(self.site, challenge, credential, passkey)
        _ensure_counts_up(passkey, shown.sign_count)
        if not repository.use(connection, passkey, sign_count=shown.sign_count, synced=shown.synced, now_ms=now_ms):
            raise _cloned(passkey)
        _audit(connection, passkey, "passkey.sign_in", now_ms)
        return riders.current(connection, passkey.rider_id)

    def _take_challenge(
        self, connection: Connection, purpose: For, rider_id: str, credential: dict[str, Any], now_ms: int
    ) -> bytes:
        """Return the challenge that an answer is for, and let it be good no more."""
        said = ceremony.challenge_in(credential)
        challenge = unseal(self.secret, purpose, rider_id, said, now_ms)
        if challenge is None or not repository.use_challenge(connection, challenge, now_ms):
            raise PasskeyRefusedError(_LATE)
        return said


def remove(connection: Connection, rider: RiderIdentity, passkey_id: str, now_ms: int) -> None:
    """Let one of a rider's passkeys be good no more.

    Raises:
        NotSignedInError: there is no such rider, or the token has been revoked.
        NotFoundError: the rider has no such passkey.
    """
    riders.require(connection, rider)
    if not repository.remove(connection, rider.id, passkey_id):
        msg = "You have no passkey with this id. See those that you have: GET /v1/passkeys"
        raise NotFoundError(msg)
    _record(connection, rider.id, "passkey.remove", passkey_id, now_ms)


def of_rider(connection: Connection, rider: RiderIdentity) -> list[Passkey]:
    """Return a rider's passkeys, oldest first.

    Raises:
        NotSignedInError: there is no such rider, or the token has been revoked.
    """
    riders.require(connection, rider)
    return repository.of_rider(connection, rider.id)


def ensure_nothing_left(connection: Connection, guest: RiderIdentity, signing_in: str) -> None:
    """Let a browser change from one rider to another if the one before leaves no money and no debt there.

    A live session always has a hold, so its wallet is not empty. A token that is good no more leaves nothing.

    Raises:
        GuestLeftBehindError: there would be something left.
    """
    if guest.id == signing_in or not riders.is_current(connection, guest):
        return
    wallet = ledger.wallet_of(connection, guest.id, guest.nonce)
    if wallet.balance_minor or wallet.held_minor or wallet.debt_minor:
        msg = (
            "This browser's guest has money, a ride or a debt, and is out of reach once you sign in as somebody else. "
            "Use it up or keep that guest with a passkey first; or send this again with leave_guest true."
        )
        figures = wallet.model_dump(include={"balance_minor", "held_minor", "debt_minor", "currency"})
        raise GuestLeftBehindError(msg, **figures)


def _ensure_counts_up(passkey: Passkey, sign_count: int) -> None:
    """Refuse a counter that did not go up, unless the authenticator has none: then both are 0 (WebAuthn 3, 7.2)."""
    if (sign_count or passkey.sign_count) and sign_count <= passkey.sign_count:
        raise _cloned(passkey)


def _cloned(passkey: Passkey) -> ClonedPasskeyError:
    logger.warning("the counter of a passkey did not go up passkey=%s", passkey.id)
    msg = "Its counter went back, so there may be a copy. Sign in with another one, and remove this one then."
    return ClonedPasskeyError(msg)


def _audit(connection: Connection, passkey: Passkey, action: str, now_ms: int) -> None:
    _record(connection, passkey.rider_id, action, passkey.id, now_ms)


def _record(connection: Connection, rider_id: str, action: str, passkey_id: str, now_ms: int) -> None:
    rider = f"rider:{rider_id}"
    audit.record(connection, at_ms=now_ms, actor=rider, action=action, subject=rider, why=f"passkey {passkey_id}")
