"""Signing in and out: the password is checked between two units of work, because hashing takes a tenth of a second."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.fernet import Fernet
from sqlalchemy import Connection

from session_service import audit
from session_service.clock import new_id
from session_service.errors import TooManyRequestsError
from session_service.operators import lockout, repository, totp
from session_service.operators.errors import SignInFailedError
from session_service.operators.lockout import Keys
from session_service.operators.model import Operator, SignIn

FAILED = (
    "Check the name, the password and, if the operator has one, the code; each code works once. Another admin can set "
    "a new password: unlatch operator set-password NAME"
)


@dataclass(frozen=True, slots=True)
class Try:
    """One try to sign in: with what name and code, and under which keys it counts."""

    name: str
    code: str | None
    keys: Keys
    now_ms: int

    def failed(self) -> SignInFailedError:
        """Return the error that says so, the same whatever was wrong."""
        return SignInFailedError(FAILED)


def candidate(connection: Connection, tried: Try) -> Operator | None:
    """Return the operator whose password is to be checked, or ``None``; whether one is revoked, ``begin`` sees.

    Raises:
        TooManyRequestsError: this try comes too early after those that failed.
    """
    operator = repository.by_name(connection, tried.name)
    known = operator is not None and repository.has_signed_in_at(
        connection, operator.id, tried.keys.place, tried.now_ms - lockout.KNOWN_PLACE_MS
    )
    until_ms = repository.wait_until_ms(connection, list(tried.keys.limits(known_place=known)))
    if until_ms > tried.now_ms:
        wait_s = -((tried.now_ms - until_ms) // 1000)
        msg = f"Several tries have failed. Try again in {wait_s} s; until then none is looked at."
        raise TooManyRequestsError(msg, retry_after_s=wait_s, limit="sign-ins")
    return operator


def note_failure(connection: Connection, tried: Try) -> None:
    """Count a try that failed, and let the next one wait."""
    repository.forget_failures(connection, tried.now_ms - lockout.FORGET_MS)
    for key, limit in tried.keys.all_limits().items():
        failures = repository.add_failure(connection, key, tried.now_ms)
        repository.set_wait(connection, key, tried.now_ms, tried.now_ms + limit.wait_ms(failures))


def begin(connection: Connection, operator: Operator, tried: Try, box: Fernet, sha256: str) -> SignIn:
    """Sign an operator in whose password was right.

    Raises:
        SignInFailedError: the code is wrong or used, or the operator is not as before the password was checked.
    """
    now = repository.locked(connection, operator.id)  # or a password that is being changed would not end this one
    if now is None or now.revoked_at_ms is not None or now.password_hash != operator.password_hash:
        raise tried.failed()
    if not _code_is_right(connection, now, tried, box):
        raise tried.failed()
    sign_in = SignIn(
        id=new_id(),
        operator_id=operator.id,
        token_sha256=sha256,
        place=tried.keys.place,
        created_at_ms=tried.now_ms,
        used_at_ms=tried.now_ms,
    )
    repository.add_sign_in(connection, sign_in)
    repository.take_back_failures(connection, tried.keys.name_here, [tried.keys.place, tried.keys.name])
    _audit(connection, operator.id, "operator.sign_in", tried.now_ms)
    return sign_in


def _code_is_right(connection: Connection, operator: Operator, tried: Try, box: Fernet) -> bool:
    if operator.totp_secret is None:
        return True
    secret = box.decrypt(operator.totp_secret.encode()).decode()
    step = totp.step_of(secret, tried.code or "", tried.now_ms)
    return step is not None and repository.use_step(connection, operator.id, step)


def end(connection: Connection, sign_in: SignIn, now_ms: int) -> None:
    """Sign out; a second time changes nothing."""
    repository.end_sign_ins(connection, now_ms, id=sign_in.id)
    _audit(connection, sign_in.operator_id, "operator.sign_out", now_ms)


def _audit(connection: Connection, operator_id: str, action: str, now_ms: int) -> None:
    named = f"operator:{operator_id}"
    audit.record(connection, at_ms=now_ms, actor=named, action=action, subject=named)
