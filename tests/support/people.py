"""Operators who have signed in, without the tenth of a second that a password takes."""

from __future__ import annotations

from sqlalchemy import Connection

from session_service.access import Role
from session_service.clock import Clock, new_id
from session_service.operators import repository, service, tokens
from session_service.operators.model import SignIn
from session_service.operators.service import By

NO_PASSWORD = "no hash of any password"
SECRET = bytes(range(32))


def signed_in(connection: Connection, name: str, role: Role, cell: str) -> dict[str, str]:
    """Add a person and sign them in; return the header of their requests."""
    now_ms = Clock().now_ms()
    person = service.add_person(connection, name, NO_PASSWORD, role, By("cli:tests", now_ms))
    token = tokens.sign_in_token(SECRET, cell, tokens.new_nonce())
    begun = SignIn(
        id=new_id(),
        operator_id=person.id,
        token_sha256=tokens.digest(token),
        place="here",
        created_at_ms=now_ms,
        used_at_ms=now_ms,
    )
    repository.add_sign_in(connection, begun)
    return {"Authorization": f"Bearer {token}"}
