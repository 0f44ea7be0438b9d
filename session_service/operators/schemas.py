"""What the API takes and shows of operators and their sign-ins."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from session_service.access import Role
from session_service.clock import rfc3339
from session_service.operators.model import Operator
from session_service.operators.passwords import MAX_CHARS
from session_service.operators.service import LONGEST_MS, OperatorIdentity, ends_at_ms

MAX_NAME_CHARS = 60  # fits a line of a list

Password = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_CHARS,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        repr=False,
        json_schema_extra={"format": "password"},
    ),
]
Why = Annotated[str, Field(min_length=3, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class SignInIn(BaseModel):
    """Name and password of an operator, and a code where the operator has one."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS, pattern=r"^[^\x00-\x1f\x7f]*$")]
    password: Password
    code: Annotated[str, Field(pattern=r"^[0-9]{6}$")] | None = None
    cookie: bool = Field(default=False, strict=True, description="set the token as a cookie instead of returning it")


class PasswordIn(BaseModel):
    """The password as it was, and as it shall be."""

    model_config = ConfigDict(extra="forbid")

    old_password: Password
    new_password: Password


class WhyIn(BaseModel):
    """Why a person does something."""

    model_config = ConfigDict(extra="forbid")

    reason: Why


class RoleIn(WhyIn):
    """The role that an operator shall have, and why."""

    role: Role


class CurrentOut(BaseModel):
    """Who a token says one is. ``ends_at`` is when it ends if it is not used again; a program's does not end."""

    operator_id: str
    name: str
    role: Role
    cell: str
    ends_at: str | None
    ends_at_the_latest: str | None

    @classmethod
    def of(cls, who: OperatorIdentity, cell: str) -> Self:
        """Return what is shown of an operator who asks."""
        begun = who.sign_in
        return cls(
            operator_id=who.id,
            name=who.name,
            role=who.role,
            cell=cell,
            ends_at=rfc3339(ends_at_ms(begun)) if begun else None,
            ends_at_the_latest=rfc3339(begun.created_at_ms + LONGEST_MS) if begun else None,
        )


class SignedInOut(CurrentOut):
    """A sign-in that has begun, and its token, which is shown only here; ``null`` if it was set as a cookie."""

    token: str | None = Field(repr=False)


class NewSignIn(CurrentOut):
    """What is kept of the answer for its repetition. The token is made from the nonce and never stored."""

    nonce: str


class OperatorOut(BaseModel):
    """An operator: a person who signs in with a password, or a program with a token."""

    operator_id: str
    name: str
    role: Role
    has_token: bool
    has_password: bool
    has_code: bool
    created_at: str | None
    revoked_at: str | None

    @classmethod
    def of(cls, row: Operator) -> Self:
        """Return what is shown of an operator."""
        return cls(
            operator_id=row.id,
            name=row.name,
            role=Role(row.role),
            has_token=row.token_sha256 is not None,
            has_password=row.password_hash is not None,
            has_code=row.totp_secret is not None,
            created_at=rfc3339(row.created_at_ms),
            revoked_at=rfc3339(row.revoked_at_ms),
        )


class OperatorsOut(BaseModel):
    """All operators, the oldest first."""

    operators: list[OperatorOut]


class ColleagueOut(BaseModel):
    """An operator's name; ``goes_there`` says whether it is a person to whom something may be assigned now."""

    operator_id: str
    name: str
    goes_there: bool

    @classmethod
    def of(cls, row: Operator) -> Self:
        """Return what all operators may know of an operator."""
        can_act = row.revoked_at_ms is None and Role(row.role).covers(Role.TECHNICIAN)
        return cls(operator_id=row.id, name=row.name, goes_there=can_act and row.password_hash is not None)


class ColleaguesOut(BaseModel):
    """All operators, the oldest first, revoked ones too: what they did is still theirs."""

    colleagues: list[ColleagueOut]
