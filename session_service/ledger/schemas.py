"""What the API says about money: integers in minor units of the currency, times in RFC 3339."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from session_service.clock import rfc3339
from session_service.ledger.books import Entry, Statement
from session_service.ledger.model import RefundStatus, TopUp, TopUpStatus, Wallet
from session_service.ledger.refunds import Refunded
from session_service.ledger.rules import MAX_TOP_UP_MINOR, MIN_TOP_UP_MINOR

MAX_REFUND_MINOR: Final = 9_007_199_254_740_991  # what JSON carries exactly; a wallet holds less


class WalletOut(BaseModel):
    """A wallet. ``held_minor`` is set aside for sessions under way; ``debt_minor`` must be paid before the next one."""

    currency: str
    balance_minor: int
    held_minor: int
    available_minor: int
    debt_minor: int

    @classmethod
    def of(cls, wallet: Wallet) -> WalletOut:
        """Return the wallet as the API shows it."""
        available = wallet.balance_minor - wallet.held_minor
        return cls(available_minor=available, **wallet.model_dump(exclude={"rider_id"}))


class TopUpIn(BaseModel):
    """How much to pay in."""

    model_config = ConfigDict(extra="forbid")

    amount_minor: Annotated[int, Field(strict=True, ge=MIN_TOP_UP_MINOR, le=MAX_TOP_UP_MINOR)]


class TopUpOut(BaseModel):
    """A payment into the wallet; ``pay_url`` is where to pay."""

    id: str
    amount_minor: int
    currency: str
    status: TopUpStatus
    pay_url: str | None

    @classmethod
    def of(cls, top_up: TopUp) -> TopUpOut:
        """Return the top-up as the API shows it."""
        return cls.model_validate(top_up.model_dump(include=set(cls.model_fields), warnings=False))


class RefundIn(BaseModel):
    """How much to take out of the wallet; without an amount, all that can go back to where it came from."""

    model_config = ConfigDict(extra="forbid")

    amount_minor: Annotated[int | None, Field(strict=True, ge=1, le=MAX_REFUND_MINOR)] = None


class RefundOut(BaseModel):
    """Money that goes back to where it came from.

    ``done_minor`` has arrived there, ``failed_minor`` could not and is back in the wallet; the rest is on its way.
    """

    id: str
    amount_minor: int
    currency: str
    status: RefundStatus
    done_minor: int
    failed_minor: int
    created_at: str | None
    ended_at: str | None

    @classmethod
    def of(cls, refunded: Refunded) -> RefundOut:
        """Return the refund as the API shows it."""
        return cls(
            id=refunded.refund.id,
            amount_minor=refunded.refund.amount_minor,
            currency=refunded.refund.currency,
            status=refunded.status,
            done_minor=refunded.minor_in(RefundStatus.DONE),
            failed_minor=refunded.minor_in(RefundStatus.FAILED),
            created_at=rfc3339(refunded.refund.created_at_ms),
            ended_at=rfc3339(refunded.ended_at_ms),
        )


class RefundsOut(BaseModel):
    """A rider's refunds, newest first, and how much can be taken out now."""

    refundable_minor: int
    refunds: list[RefundOut]


class LedgerCheckOut(BaseModel):
    """Whether the books are in order. ``sum_minor`` is how far all accounts together are from zero."""

    sum_minor: int
    ok: bool
    problems: list[str]


class EntryOut(BaseModel):
    """One posting as its account sees it: positive amounts came in from ``other``."""

    transfer_id: str
    key: str
    kind: str
    session_id: str | None
    at: str | None
    other: str
    amount_minor: int

    @classmethod
    def of(cls, entry: Entry) -> EntryOut:
        """Return the entry as the API shows it."""
        return cls(at=rfc3339(entry.at_ms), **{k: v for k, v in entry._asdict().items() if k != "at_ms"})


class AccountOut(BaseModel):
    """An account with its newest entries, newest first."""

    id: str
    kind: str
    currency: str
    balance_minor: int
    entries: list[EntryOut]

    @classmethod
    def of(cls, statement: Statement) -> AccountOut:
        """Return the statement as the API shows it."""
        return cls(
            id=statement.account_id,
            kind=statement.kind,
            currency=statement.currency,
            balance_minor=statement.balance_minor,
            entries=[EntryOut.of(entry) for entry in statement.entries],
        )
