"""What the API takes and shows of passkeys; the credentials are WebAuthn's own JSON (WebAuthn 3, 5.1.8 and 5.5)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from session_service.clock import rfc3339
from session_service.passkeys.model import CREDENTIAL_ID_CHARS, Passkey

Base64Url = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
CredentialId = Annotated[Base64Url, Field(max_length=CREDENTIAL_ID_CHARS)]
ClientData = Annotated[Base64Url, Field(max_length=4_000, alias="clientDataJSON")]
"""JSON with type, challenge, origin and a few flags: browsers write 200 to 400 characters."""


class AttestationResponse(BaseModel):
    """``AuthenticatorAttestationResponseJSON``; what else browsers send is in there twice, and not read."""

    client_data: ClientData
    attestation_object: Annotated[Base64Url, Field(max_length=16_000, alias="attestationObject")]
    transports: Annotated[list[Annotated[str, Field(max_length=20)]], Field(max_length=12)] = []


class AssertionResponse(BaseModel):
    """``AuthenticatorAssertionResponseJSON``."""

    client_data: ClientData
    authenticator_data: Annotated[Base64Url, Field(max_length=4_000, alias="authenticatorData")]
    signature: Annotated[Base64Url, Field(max_length=2_000)]
    user_handle: Annotated[Base64Url | None, Field(max_length=86, alias="userHandle")] = None


class Credential(BaseModel):
    """What both kinds of credential have."""

    id: CredentialId
    raw_id: Annotated[CredentialId, Field(alias="rawId")]
    type: Literal["public-key"]

    def plain(self) -> dict[str, Any]:
        """Return it as WebAuthn's JSON."""
        return self.model_dump(by_alias=True)


class NewCredential(Credential):
    """``RegistrationResponseJSON``, as ``credential.toJSON()`` gives it."""

    response: AttestationResponse


class ShownCredential(Credential):
    """``AuthenticationResponseJSON``, as ``credential.toJSON()`` gives it."""

    response: AssertionResponse


class PasskeyIn(BaseModel):
    """A passkey that the browser has made with the options of ``GET /v1/passkeys/options``."""

    model_config = ConfigDict(extra="forbid")

    credential: NewCredential


class PasskeySignInIn(BaseModel):
    """A passkey that the browser has shown, asked with ``GET /v1/passkeys/sign-ins/options``."""

    model_config = ConfigDict(extra="forbid")

    credential: ShownCredential
    cookie: bool = Field(default=False, strict=True, description="set the token as a cookie instead of returning it")
    leave_guest: bool = Field(
        default=False, strict=True, description="sign in although this browser's guest leaves money or a debt behind"
    )


class PasskeyOut(BaseModel):
    """A passkey as its rider sees it. ``synced``: it is kept in more than one place; ``used_at``: last sign-in."""

    id: str
    credential_id: str
    synced: bool
    transports: list[str]
    created_at: str | None
    used_at: str | None

    @classmethod
    def of(cls, row: Passkey) -> Self:
        """Return what is shown of a row."""
        return cls(
            id=row.id,
            credential_id=row.credential_id,
            synced=row.synced,
            transports=[name for name in row.transports.split(",") if name],
            created_at=rfc3339(row.created_at_ms),
            used_at=rfc3339(row.used_at_ms),
        )


class PasskeysOut(BaseModel):
    """A rider's passkeys, oldest first."""

    passkeys: list[PasskeyOut]
