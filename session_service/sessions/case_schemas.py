"""What the API takes and shows of cases: sessions about which a person decides."""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from session_service.clock import rfc3339
from session_service.commands.schemas import CommandOut
from session_service.devices.model import DeviceAlert
from session_service.pricing.tariff import MAX_PRICE_MINOR
from session_service.sessions.case_repository import Leg
from session_service.sessions.decisions import Choice, Decision
from session_service.sessions.model import Session, SessionEvent
from session_service.sessions.schemas import OpsSessionOut, ReceiptOut, SessionOut

_NEEDS: Final[dict[Choice, frozenset[str]]] = {
    Choice.NO_CHARGE: frozenset(),
    Choice.CLOSE_AT: frozenset({"ended_at_ms"}),
    Choice.CHARGE_AFTER_RELEASE: frozenset({"ended_at_ms", "consent"}),
    Choice.WRITE_OFF: frozenset({"amount_minor"}),
    Choice.REFUND: frozenset({"amount_minor"}),
}
_GIVEN: Final = ("ended_at_ms", "amount_minor", "consent")

Words = Annotated[str, Field(min_length=3, max_length=400, pattern=r"^[^\x00-\x1f\x7f]*$")]


class CaseDecisionIn(BaseModel):
    """A decision: what, why, and what that choice needs beside it.

    ``close_at`` needs ``ended_at_ms`` (civil, since the Unix epoch), ``charge_after_release`` that and ``consent`` (how
    the rider agreed), ``write_off`` and ``refund`` need ``amount_minor``; nothing else may be given.
    """

    model_config = ConfigDict(extra="forbid")

    choice: Choice
    reason: Words
    ended_at_ms: Annotated[int | None, Field(strict=True, ge=0, le=9_007_199_254_740_991)] = None
    amount_minor: Annotated[int | None, Field(strict=True, ge=1, le=100 * MAX_PRICE_MINOR)] = None
    consent: Words | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        given = {name for name in _GIVEN if getattr(self, name) is not None}
        if given != _NEEDS[self.choice]:
            needs = ", ".join(sorted(_NEEDS[self.choice])) or "nothing else"
            msg = f"{self.choice} needs {needs}"
            raise ValueError(msg)
        return self

    def decision(self) -> Decision:
        """Return it as the rules take it."""
        return Decision(self.choice, self.reason, self.ended_at_ms, self.amount_minor, self.consent)


class PostingOut(BaseModel):
    """``amount_minor`` leaves ``debit_account`` and enters ``credit_account``."""

    kind: str
    debit_account: str
    credit_account: str
    amount_minor: int
    currency: str

    @classmethod
    def of(cls, leg: Leg) -> PostingOut:
        """Return a posting as the API shows it."""
        return cls(**{name: getattr(leg, name) for name in cls.model_fields})


class BalancesOut(BaseModel):
    """A rider's wallet: what is in it, how much of that is set aside, and what is owed."""

    balance_minor: int
    held_minor: int
    debt_minor: int


class DecidedOut(BaseModel):
    """What a decision does: its postings, and the session, its hold and its rider's wallet after it."""

    version: str
    session: OpsSessionOut
    postings: list[PostingOut]
    hold_ended: str | None
    wallet: BalancesOut


class MoveOut(BaseModel):
    """One move of a session. ``at`` is when it became true (civil), ``recorded_at`` when it was written (real)."""

    seq: int
    event: str
    from_state: str
    to_state: str
    actor: str
    at: str | None
    recorded_at: str | None
    journal_id: str | None
    report_seq: int | None

    @classmethod
    def of(cls, row: SessionEvent) -> MoveOut:
        """Return a move as the API shows it."""
        same = row.model_dump(include=set(cls.model_fields))
        return cls(**same, at=rfc3339(row.at_ms), recorded_at=rfc3339(row.at_real_ms))


class CaseReportOut(BaseModel):
    """A report of the device while the case ran: when it speaks of, when it came, and the key that it names.

    ``is_signed`` is whether that is a key of the device, the signature is by it, and covers the name that the report
    has here; this has been checked for this answer.
    """

    journal_id: str
    seq: int
    kind: str
    command_id: str | None
    at: str | None
    received_at: str | None
    key_id: str | None
    is_signed: bool


class CaseAlertOut(BaseModel):
    """An alert of the device that was open while the session ran, or came soon after it."""

    kind: str
    detail: str
    opened_at: str | None
    cleared_at: str | None

    @classmethod
    def of(cls, row: DeviceAlert) -> CaseAlertOut:
        """Return an alert as the API shows it."""
        opened, cleared = rfc3339(row.opened_at_ms), rfc3339(row.cleared_at_ms)
        return cls(kind=row.kind, detail=row.detail, opened_at=opened, cleared_at=cleared)


class ChoiceOut(BaseModel):
    """Something that may be decided now; ``most_minor`` is the most that may be given back or written off."""

    choice: Choice
    most_minor: int | None


class PlaceOut(BaseModel):
    """Where a thing was: WGS 84, degrees."""

    lat: float
    lon: float


class EvidencedOut(BaseModel):
    """A session with all evidence: its receipt, its moves, and what its device and commands have to say about it.

    ``start`` is where the device stood at Start, ``end`` where it was when its lock closed; both are gone
    when its rider's account has been erased.
    """

    session: OpsSessionOut
    receipt: ReceiptOut
    start: PlaceOut | None
    end: PlaceOut | None
    moves: list[MoveOut]
    commands: list[CommandOut]
    reports: list[CaseReportOut]
    alerts: list[CaseAlertOut]


class CaseOut(EvidencedOut):
    """A session with its money as well, and what may be decided. ``version`` is what a decision names as seen."""

    version: str
    choices: list[ChoiceOut]
    wallet: BalancesOut
    charged_minor: int
    given_back_minor: int
    postings: list[PostingOut]


def shown(row: Session) -> OpsSessionOut:
    """Return a session as operators see it."""
    return OpsSessionOut(**SessionOut.of(row).model_dump(), rider_id=row.rider_id, device_id=row.device_id)
