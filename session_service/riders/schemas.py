"""What the API says about riders."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class RiderIn(BaseModel):
    """A new rider: there is nothing to fill in."""

    model_config = ConfigDict(extra="forbid")


class RiderOut(BaseModel):
    """A rider, and the token that is the rider's only key: who has it can spend the wallet."""

    rider_id: str
    token: str


class NewRider(BaseModel):
    """What is kept of the answer for its repetition. The token is made from it and never stored."""

    rider_id: str
    nonce: str
