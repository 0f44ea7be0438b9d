"""Riders are guests: nothing is asked of them, and nothing is known of them but their wallet."""

from __future__ import annotations

from sqlalchemy import Connection

from session_service import audit, clock
from session_service.errors import NotFoundError, NotSignedInError
from session_service.ledger import service as ledger
from session_service.riders import repository
from session_service.riders.model import Rider
from session_service.riders.token import NONCE_CHARS, SIGN_IN, RiderIdentity


def create(connection: Connection, currency: str, now_ms: int) -> RiderIdentity:
    """Store a new rider with an empty wallet in ``currency``."""
    rider = Rider(id=clock.new_id(), token_nonce=clock.random_code(NONCE_CHARS), created_at_ms=now_ms)
    repository.add(connection, rider)
    ledger.open_wallet(connection, rider.id, currency)
    return RiderIdentity(rider.id, rider.token_nonce)


def require(connection: Connection, rider: RiderIdentity) -> None:
    """Let a rider pass whose token has not been revoked. For work that neither locks the wallet nor joins the rider.

    Raises:
        NotSignedInError: there is no such rider, or the token has been revoked.
    """
    if not is_current(connection, rider):
        raise NotSignedInError(SIGN_IN)


def is_current(connection: Connection, rider: RiderIdentity) -> bool:
    """Return whether there is such a rider, and the token has not been revoked."""
    return repository.token_nonce(connection, rider.id) == rider.nonce


def current(connection: Connection, rider_id: str) -> RiderIdentity:
    """Return a rider with the nonce in force, for somebody who has proven in another way to be that rider.

    Raises:
        NotSignedInError: there is no such rider.
    """
    nonce = repository.token_nonce(connection, rider_id)
    if nonce is None:
        raise NotSignedInError(SIGN_IN)
    return RiderIdentity(rider_id, nonce)


def renew_token(connection: Connection, rider: RiderIdentity, at_ms: int) -> RiderIdentity:
    """Make every token of a rider worthless, because the rider wants it; return the identity for the new one.

    Raises:
        NotSignedInError: there is no such rider, or the token has been revoked.
    """
    renewed = RiderIdentity(rider.id, clock.random_code(NONCE_CHARS))
    if not repository.replace_token_nonce(connection, rider.id, rider.nonce, renewed.nonce):
        raise NotSignedInError(SIGN_IN)
    _audit_revocation(connection, rider.id, at_ms=at_ms, actor=rider.actor, why="a new one")
    return renewed


def end_tokens(connection: Connection, rider: RiderIdentity) -> None:
    """Make every token of a rider worthless, and none instead. The caller says why, in the audit.

    Raises:
        NotSignedInError: there is no such rider, or the token has been revoked.
    """
    if not repository.replace_token_nonce(connection, rider.id, rider.nonce, clock.random_code(NONCE_CHARS)):
        raise NotSignedInError(SIGN_IN)


def revoke_token(connection: Connection, rider_id: str, *, at_ms: int, actor: str, why: str) -> RiderIdentity:
    """Make every token of a rider worthless; return the identity for which a new one can be made.

    Raises:
        NotFoundError: there is no such rider.
    """
    renewed = RiderIdentity(rider_id, clock.random_code(NONCE_CHARS))
    if not repository.set_token_nonce(connection, rider_id, renewed.nonce):
        msg = "No rider has this id."
        raise NotFoundError(msg)
    _audit_revocation(connection, rider_id, at_ms=at_ms, actor=actor, why=why)
    return renewed


def _audit_revocation(connection: Connection, rider_id: str, *, at_ms: int, actor: str, why: str) -> None:
    subject = f"rider:{rider_id}"
    audit.record(connection, at_ms=at_ms, actor=actor, action="rider.revoke_token", subject=subject, why=why)
