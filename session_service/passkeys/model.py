"""Tables of the passkeys."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Text
from sqlmodel import Field, SQLModel

from session_service.database import big

CREDENTIAL_ID_CHARS = 1_364  # 1,023 bytes in base64url: no authenticator makes longer ones (WebAuthn 3, 5.8.3)


class Passkey(SQLModel, table=True):
    """A public key whose private half lies in a rider's phone or password manager. Bytes are base64url text.

    Attributes:
        credential_id: what the authenticator calls it.
        public_key: COSE_Key (RFC 9052 section 7).
        sign_count: the authenticator's counter at the last use; 0 for ever if it has none.
        user_handle: what the authenticator calls the rider; of all passkeys of one rider the same.
        transports: how the authenticator is reached, with commas between: browsers are told it again.
        synced: whether it is kept in more than one place, so that a lost phone does not lose it.
    """

    __table_args__ = (CheckConstraint("sign_count >= 0", name="passkey_sign_count"),)

    id: str = Field(primary_key=True, max_length=26)
    rider_id: str = Field(foreign_key="rider.id", max_length=26, index=True)
    credential_id: str = Field(max_length=CREDENTIAL_ID_CHARS, unique=True)
    public_key: str = Field(sa_type=Text)
    sign_count: int = big(default=0)
    user_handle: str = Field(max_length=86)
    transports: str = Field(default="", max_length=80)
    synced: bool = False
    created_at_ms: int = big()
    used_at_ms: int | None = big(default=None)


class UsedChallenge(SQLModel, table=True):
    """A challenge that has been answered, by its SHA-256; forgotten once it would have expired anyway."""

    __tablename__ = "passkey_challenge"

    sha256: str = Field(primary_key=True, max_length=64)
    expires_at_ms: int = big(index=True)
