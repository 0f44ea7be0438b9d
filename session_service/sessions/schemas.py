"""What the API takes and shows of sessions."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from session_service.clock import rfc3339
from session_service.devices.schemas import MAX_NUMBER
from session_service.devices.service import Availability
from session_service.presence.schemas import Code, PositionIn, position_of
from session_service.presence.service import Ask, Shown
from session_service.pricing.schemas import PriceOut
from session_service.sessions.machine import ENDED, SessionState
from session_service.sessions.model import Session


class StartIn(BaseModel):
    """A wish to start: the text of the label, as scanned, and what the device's policy asks for beside it."""

    model_config = ConfigDict(extra="forbid")

    label: Annotated[str, Field(max_length=400, examples=["HTTPS://RIDE.EXAMPLE/L/4Q7PK2M0ZT/A6H3..."])]
    confirmed_number: Annotated[int | None, Field(strict=True, ge=1, le=MAX_NUMBER)] = None
    """The number that the rider reads on the thing itself, where a scan or a problem asks for it."""
    display_code: Code | None = None
    """The six digits on the thing's display, where they are asked for."""
    position: PositionIn | None = None

    def shown(self) -> Shown:
        """Return what the rider shows beside the label."""
        return Shown(self.confirmed_number, self.display_code, position_of(self.position))


class SessionOut(BaseModel):
    """A session as its rider sees it. Money is in minor units of ``currency``; times are RFC 3339, UTC."""

    id: str
    state: str
    outcome: str | None
    reason: str | None
    kind: str
    number: int
    label_id: str
    currency: str
    hold_minor: int
    fare_minor: int
    paid_minor: int
    requested_at: str | None
    started_at: str | None
    finish_requested_at: str | None
    ended_at: str | None
    version: int

    @classmethod
    def of(cls, row: Session) -> SessionOut:
        """Return what is shown of a row."""
        return cls.model_construct(
            id=row.id,
            state=row.state,
            outcome=row.outcome,
            reason=row.reason,
            kind=row.kind,
            number=row.number,
            label_id=row.label_id,
            currency=row.currency,
            hold_minor=row.hold_minor,
            fare_minor=row.fare_minor,
            paid_minor=row.paid_minor,
            requested_at=rfc3339(row.requested_at_ms),
            started_at=rfc3339(row.started_at_ms),
            finish_requested_at=rfc3339(row.finish_requested_at_ms),
            ended_at=rfc3339(row.ended_at_ms),
            version=row.version,
        )


class SessionsOut(BaseModel):
    """A rider's sessions, newest first."""

    sessions: list[SessionOut]


class EmptyIn(BaseModel):
    """Nothing needs to be said."""

    model_config = ConfigDict(extra="forbid")


class ScanIn(BaseModel):
    """A label's text, as a phone's camera gave it."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=400)]
    position: PositionIn | None = None


class ScanOut(BaseModel):
    """What a label stands on: its number to compare, whether it is free, what it costs, and what Start asks for.

    The number is left out where the rider has to read it on the thing itself.
    """

    label: str
    label_id: str
    number: int | None
    kind: str
    state: Availability | Literal["taken"]
    price: PriceOut
    asks: list[Ask]


class IdentifyIn(BaseModel):
    """The label on the thing that shall show itself."""

    model_config = ConfigDict(extra="forbid")

    label: Annotated[str, Field(max_length=400)]


class IdentifiedOut(BaseModel):
    """The thing has been asked: look for its lamp until ``until`` (RFC 3339, UTC)."""

    until: str | None


class ProblemKind(StrEnum):
    """What a rider can say of a session that is not the service's to see."""

    ANOTHER_ONE_OPENED = "another_one_opened"
    DID_NOT_OPEN = "did_not_open"
    BROKEN = "broken"


class ProblemIn(BaseModel):
    """What is wrong, and the number on the thing that the rider stands at, if there is one."""

    model_config = ConfigDict(extra="forbid")

    kind: ProblemKind
    number: Annotated[int | None, Field(strict=True, ge=1, le=MAX_NUMBER)] = None


class Cost(StrEnum):
    """What is going to be paid for a session, as it stands."""

    NOTHING_IF_SHUT = "nothing_if_shut"  # the lock has not answered yet; if it stays shut, nothing is paid
    NOTHING = "nothing"
    FARE = "fare"  # what was ridden, up to Finish or the lock's own word
    TO_BE_DECIDED = "to_be_decided"  # a person looks at it; nothing is taken before

    @classmethod
    def of(cls, state: SessionState, fare_minor: int) -> Cost:
        """Return what a session in ``state`` costs, of which ``fare_minor`` has been settled."""
        if state in {SessionState.HELD, SessionState.UNLOCKING, SessionState.UNKNOWN}:
            return cls.NOTHING_IF_SHUT
        if state is SessionState.REVIEW:
            return cls.TO_BE_DECIDED
        return cls.NOTHING if state in ENDED and not fare_minor else cls.FARE


class ProblemOut(SessionOut):
    """The session as it stands after what was said, and what it costs."""

    cost: Cost


class LineOut(BaseModel):
    """One line of a fare."""

    what: str
    quantity: int
    amount_minor: int


class HoldOut(BaseModel):
    """What was set aside, and how that ended; ``None`` while it stands."""

    amount_minor: int
    ended: Literal["posted", "released", "expired"] | None


class EvidenceOut(BaseModel):
    """A signed report that moved the session: ``journal_id`` and ``seq`` name it for good.

    ``at`` is when it became true, ``received_at`` when it came; the device's key ``key_id`` has signed it.
    """

    what: str
    at: str | None
    journal_id: str
    seq: int
    key_id: str | None
    received_at: str | None


class ReceiptOut(BaseModel):
    """How the fare came about: its lines, the hold, and the evidence for the start and the end.

    ``debt_minor`` is what the wallet did not have at the end, ``owed_minor`` how much of that can still be owed, and
    ``refunded_minor`` what was given back since.
    """

    session_id: str
    kind: str
    number: int
    state: str
    outcome: str | None
    start_at: str | None
    end_at: str | None
    duration_s: float
    currency: str
    tariff: PriceOut
    lines: list[LineOut]
    fare_minor: int
    paid_minor: int
    debt_minor: int
    owed_minor: int
    refunded_minor: int
    hold: HoldOut
    evidence: list[EvidenceOut]


class OpsSessionOut(SessionOut):
    """A session as operators see it."""

    rider_id: str
    device_id: str


class EndIn(BaseModel):
    """Why an operator ends a session."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(min_length=3, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
