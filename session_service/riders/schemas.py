"""What the API says about riders."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class RiderIn(BaseModel):
    """A new rider: there is nothing to fill in. A page asks for a cookie, so that no script ever has the token."""

    model_config = ConfigDict(extra="forbid")

    cookie: bool = Field(default=False, strict=True, description="set the token as a cookie instead of returning it")


class RenewalIn(BaseModel):
    """A new token: there is nothing to fill in."""

    model_config = ConfigDict(extra="forbid")


class RiderOut(BaseModel):
    """A rider, and the token that is the rider's only key: who has it can spend the wallet.

    ``token`` is ``null`` if it was set as a cookie.
    """

    rider_id: str
    token: str | None


class NewRider(BaseModel):
    """What is kept of the answer for its repetition. The token is made from it and never stored."""

    rider_id: str
    nonce: str
