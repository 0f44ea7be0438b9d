"""What the API takes and shows of an account's end."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from session_service.accounts.service import KEPT, Erased
from session_service.clock import rfc3339

GIVE_UP_MAX_MINOR = 9_007_199_254_740_991  # what JavaScript's numbers hold


class ErasureIn(BaseModel):
    """The wish to be erased. ``give_up_minor`` is exactly what is in the wallet; an empty one needs no word."""

    model_config = ConfigDict(extra="forbid")

    give_up_minor: Annotated[int | None, Field(strict=True, ge=0, le=GIVE_UP_MAX_MINOR)] = None


class KeptOut(BaseModel):
    """What has to stay, and why."""

    what: str
    why: str


class ErasedOut(BaseModel):
    """What was done. No token opens anything any more; what is kept is about nobody."""

    erased_at: str | None
    forfeited_minor: int
    currency: str
    passkeys_removed: int
    kept: list[KeptOut]

    @classmethod
    def of(cls, erased: Erased, now_ms: int) -> ErasedOut:
        """Return the answer to an erasure."""
        return cls(
            erased_at=rfc3339(now_ms),
            forfeited_minor=erased.forfeited_minor,
            currency=erased.currency,
            passkeys_removed=erased.passkeys,
            kept=[KeptOut(what=kept.what, why=kept.why) for kept in KEPT],
        )
