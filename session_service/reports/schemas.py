"""What the API shows of the books. Money is in minor units of ``currency``; days are the city's."""

from __future__ import annotations

from urllib.parse import urlencode

from pydantic import BaseModel

from session_service.clock import rfc3339
from session_service.reports.repository import Cursor, Debt, Line, OpenHold, TopUpLine, Wanted
from session_service.reports.service import Figure, TopUps

POSTINGS_PATH = "/v1/ops/reports/postings"


def source(wanted: Wanted) -> str:
    """Return where the postings are that a figure is the sum of."""
    given = {"what": wanted.what, "from": wanted.span.first, "to": wanted.span.last}
    given |= {name: value for name in ("kind", "site") if (value := getattr(wanted, name)) is not None}
    return f"{POSTINGS_PATH}?{urlencode(given)}"


class FigureOut(BaseModel):
    """An amount, how many postings it is the sum of, and where they are."""

    key: str
    amount_minor: int
    postings: int
    source: str

    @classmethod
    def of(cls, figure: Figure) -> FigureOut:
        """Return a figure as the API shows it."""
        return cls(
            key=figure.key, amount_minor=figure.amount_minor, postings=figure.postings, source=source(figure.source)
        )


class SplitOut(BaseModel):
    """A sum and its parts, which add up to it."""

    currency: str
    total: FigureOut
    by: str
    rows: list[FigureOut]


class RefundsOut(BaseModel):
    """What went back in some days: for sessions, as debts not asked for, and out of wallets, less what came back."""

    currency: str
    rows: list[FigureOut]


class PostingLineOut(BaseModel):
    """One posting with its transfer. ``at`` is civil time for sessions, and real time for all else."""

    at: str | None
    transfer_id: str
    leg: int
    kind: str
    session_id: str | None
    debit_account: str
    credit_account: str
    amount_minor: int
    currency: str

    @classmethod
    def of(cls, line: Line) -> PostingLineOut:
        """Return a posting as the API shows it."""
        fields = line._asdict()
        return cls(at=rfc3339(fields.pop("at_ms")), **fields)


class WholeOut(BaseModel):
    """The sum of all postings that were asked for, reckoned from the postings themselves, and their number."""

    currency: str
    amount_minor: int
    postings: int


class PostingsOut(BaseModel):
    """A page of postings in order of time; with ``after=next_after`` comes the next, ``null`` says that none does."""

    rows: list[PostingLineOut]
    next_after: str | None
    total: WholeOut | None = None


def cursor_text(line: Line) -> str:
    """Return the place of a line as ``after`` has it."""
    return f"{line.at_ms}.{line.transfer_id}.{line.leg}"


def cursor_of(text: str | None) -> Cursor | None:
    """Return the place that ``cursor_text`` wrote; its form has been checked."""
    if text is None:
        return None
    at_ms, transfer_id, leg = text.split(".")
    return Cursor(int(at_ms), transfer_id, int(leg))


class HoldOut(BaseModel):
    """Money set aside for longer than asked for; ``session_state`` says what the session waits for."""

    hold_id: str
    rider_id: str
    account: str
    session_id: str
    session_state: str | None
    amount_minor: int
    since: str | None
    age_s: int

    @classmethod
    def of(cls, hold: OpenHold, now_ms: int) -> HoldOut:
        """Return an open hold as the API shows it."""
        return cls(
            hold_id=hold.hold_id,
            rider_id=hold.rider_id,
            account=f"wallet:{hold.rider_id}",
            session_id=hold.session_id,
            session_state=hold.state,
            amount_minor=hold.amount_minor,
            since=rfc3339(hold.created_at_ms),
            age_s=max(0, now_ms - hold.created_at_ms) // 1000,
        )


class HoldsOut(BaseModel):
    """A page of open holds, the oldest first; with ``after=next_after`` comes the next."""

    currency: str
    rows: list[HoldOut]
    next_after: str | None


class DebtOut(BaseModel):
    """What a rider owes: the balance of ``account``, whose postings are at GET /v1/ops/ledger/accounts/ACCOUNT."""

    rider_id: str
    account: str
    debt_minor: int
    balance_minor: int

    @classmethod
    def of(cls, debt: Debt) -> DebtOut:
        """Return a debt as the API shows it."""
        return cls(account=f"debt:{debt.rider_id}", **debt._asdict())


class DebtsOut(BaseModel):
    """A page of riders who owe something; the total is that of all."""

    currency: str
    total_minor: int
    riders: int
    rows: list[DebtOut]
    next_after: str | None


class ToldOut(BaseModel):
    """What a provider has told us of payments that were begun in these days."""

    provider: str
    status: str
    amount_minor: int
    payments: int


class TopUpLineOut(BaseModel):
    """A payment as the provider told us of it, and what the ledger has booked for it."""

    id: str
    rider_id: str
    provider: str
    payment_id: str | None
    status: str
    amount_minor: int
    booked_minor: int
    created_at: str | None
    ended_at: str | None

    @classmethod
    def of(cls, line: TopUpLine) -> TopUpLineOut:
        """Return a top-up as the API shows it."""
        fields = line._asdict()
        created, ended = rfc3339(fields.pop("created_at_ms")), rfc3339(fields.pop("ended_at_ms"))
        return cls(created_at=created, ended_at=ended, **fields)


class TopUpsOut(BaseModel):
    """Top-ups: what providers told us, what is booked, and at most 100 payments on which the two differ.

    ``told`` counts payments by when they were begun, ``booked`` by when the money came: at midnight the two differ.
    """

    currency: str
    told: list[ToldOut]
    booked: FigureOut
    astray: list[TopUpLineOut]

    @classmethod
    def of(cls, found: TopUps, currency: str) -> TopUpsOut:
        """Return the comparison as the API shows it."""
        names = ("provider", "status", "amount_minor", "payments")
        return cls(
            currency=currency,
            told=[ToldOut(**dict(zip(names, row, strict=True))) for row in found.told],
            booked=FigureOut.of(found.booked),
            astray=[TopUpLineOut.of(line) for line in found.astray],
        )
