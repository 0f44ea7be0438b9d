"""Tables of the ledger (DESIGN 5).

A posting takes from one account and gives to another, so every transfer is balanced by its form. Transfers, postings
and the ends of holds are never changed; triggers in the migration refuse it.
"""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from session_service.database import big


class AccountKind(StrEnum):
    """Positive balances: what we owe a rider (wallet), what we earned (revenue). Negative: what is owed to us."""

    WALLET = "wallet"
    DEBT = "debt"  # what a rider owes us beyond the wallet
    PROVIDER = "provider"  # money that a payment provider holds for us
    REVENUE = "revenue"
    ADJUSTMENT = "adjustment"  # refunds and write-offs that a person decided


class Account(SQLModel, table=True):
    """One account in one currency; a rider's are named by the rider, ours by their purpose, as ``revenue:bike``."""

    __table_args__ = (
        UniqueConstraint("id", "currency", name="account_currency"),
        CheckConstraint("kind IN ('wallet', 'debt', 'provider', 'revenue', 'adjustment')", name="account_kind"),
    )

    id: str = Field(primary_key=True, max_length=60)
    kind: AccountKind = Field(sa_type=Text)
    currency: str = Field(max_length=3)


class Transfer(SQLModel, table=True):
    """Money that moved, once. ``key`` is the caller's name for it, ``fingerprint`` says what was asked under it."""

    __table_args__ = (Index("transfer_at", "at_ms", "id", "kind", "session_id"),)  # reports read a span of time by it

    id: str = Field(primary_key=True, max_length=26)
    key: str = Field(max_length=80, unique=True)
    fingerprint: str = Field(max_length=64)
    kind: str = Field(max_length=20)
    session_id: str | None = Field(default=None, max_length=26, index=True)
    at_ms: int = big()


class Posting(SQLModel, table=True):
    """One leg: ``amount_minor`` leaves ``debit_account`` and enters ``credit_account``."""

    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="posting_amount"),
        CheckConstraint("debit_account <> credit_account", name="posting_accounts"),
        ForeignKeyConstraint(["debit_account", "currency"], ["account.id", "account.currency"], name="posting_debit"),
        ForeignKeyConstraint(["credit_account", "currency"], ["account.id", "account.currency"], name="posting_credit"),
    )

    transfer_id: str = Field(primary_key=True, foreign_key="transfer.id", max_length=26)
    leg: int = Field(primary_key=True)
    debit_account: str = Field(max_length=60, index=True)
    credit_account: str = Field(max_length=60, index=True)
    currency: str = Field(max_length=3)
    amount_minor: int = big()


class Wallet(SQLModel, table=True):
    """A rider's cached balances. ``held_minor`` is set aside, ``debt_minor`` is owed to us; none is ever negative."""

    __table_args__ = (
        CheckConstraint("balance_minor >= 0", name="wallet_balance"),
        CheckConstraint("held_minor >= 0 AND held_minor <= balance_minor", name="wallet_held"),
        CheckConstraint("debt_minor >= 0", name="wallet_debt"),
    )

    rider_id: str = Field(primary_key=True, foreign_key="rider.id", max_length=26)
    currency: str = Field(max_length=3)
    balance_minor: int = big(default=0)
    held_minor: int = big(default=0)
    debt_minor: int = big(default=0)


class Hold(SQLModel, table=True):
    """Money set aside for a session: a transfer that is pending until it has an end."""

    __table_args__ = (CheckConstraint("amount_minor > 0", name="hold_amount"),)

    id: str = Field(primary_key=True, max_length=26)
    rider_id: str = Field(foreign_key="rider.id", max_length=26, index=True)
    session_id: str = Field(max_length=26, unique=True)
    amount_minor: int = big()
    currency: str = Field(max_length=3)
    created_at_ms: int = big()


class HoldEndKind(StrEnum):
    """How a hold ended."""

    POSTED = "posted"  # a fare was paid from it; what was left over is free again
    RELEASED = "released"
    EXPIRED = "expired"


class HoldEnd(SQLModel, table=True):
    """The one end of a hold; its primary key is why there is no second."""

    __tablename__ = "hold_end"
    __table_args__ = (
        CheckConstraint("kind IN ('posted', 'released', 'expired')", name="hold_end_kind"),
        CheckConstraint("(kind = 'posted') = (transfer_id IS NOT NULL)", name="hold_end_transfer"),
    )

    hold_id: str = Field(primary_key=True, foreign_key="hold.id", max_length=26)
    kind: HoldEndKind = Field(sa_type=Text)
    transfer_id: str | None = Field(default=None, foreign_key="transfer.id", max_length=26)
    at_ms: int = big()


class TopUpStatus(StrEnum):
    """How far a payment into the wallet has come."""

    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"


class TopUp(SQLModel, table=True):
    """A payment into a wallet, from the wish to the provider's word."""

    __tablename__ = "top_up"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="top_up_amount"),
        CheckConstraint("status IN ('pending', 'paid', 'failed')", name="top_up_status"),
        UniqueConstraint("provider", "payment_id", name="top_up_payment"),
    )

    id: str = Field(primary_key=True, max_length=26)
    rider_id: str = Field(foreign_key="rider.id", max_length=26, index=True)
    amount_minor: int = big()
    currency: str = Field(max_length=3)
    status: TopUpStatus = Field(default=TopUpStatus.PENDING, sa_type=Text)
    provider: str = Field(max_length=20)
    payment_id: str | None = Field(default=None, max_length=60)
    pay_url: str | None = Field(default=None, sa_type=Text)
    created_at_ms: int = big(index=True)
    ended_at_ms: int | None = big(default=None)


class RefundStatus(StrEnum):
    """How far money on its way out of a wallet has come."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"  # it is back in the wallet


class WalletRefund(SQLModel, table=True):
    """Money that a rider takes out of the wallet; its transfer, ``wallet-refund:ID``, is made with it."""

    __tablename__ = "wallet_refund"
    __table_args__ = (CheckConstraint("amount_minor > 0", name="wallet_refund_amount"),)

    id: str = Field(primary_key=True, max_length=26)
    rider_id: str = Field(foreign_key="rider.id", max_length=26, index=True)
    amount_minor: int = big()
    currency: str = Field(max_length=3)
    created_at_ms: int = big()


_PENDING_SQL = text("status = 'pending'")


class WalletRefundPart(SQLModel, table=True):
    """What of a refund goes back to one payment. ``asked_at_ms`` is when the provider was last asked for it."""

    __tablename__ = "wallet_refund_part"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="wallet_refund_part_amount"),
        CheckConstraint("status IN ('pending', 'done', 'failed')", name="wallet_refund_part_status"),
        CheckConstraint("(status = 'pending') = (ended_at_ms IS NULL)", name="wallet_refund_part_end"),
        UniqueConstraint("provider", "provider_refund_id", name="wallet_refund_part_at_provider"),
        Index("wallet_refund_part_pending", "asked_at_ms", sqlite_where=_PENDING_SQL, postgresql_where=_PENDING_SQL),
    )

    refund_id: str = Field(primary_key=True, foreign_key="wallet_refund.id", max_length=26)
    number: int = Field(primary_key=True)
    top_up_id: str = Field(foreign_key="top_up.id", max_length=26, index=True)
    provider: str = Field(max_length=20)
    payment_id: str = Field(max_length=60)
    amount_minor: int = big()
    status: RefundStatus = Field(default=RefundStatus.PENDING, sa_type=Text)
    provider_refund_id: str | None = Field(default=None, max_length=60)
    asked_at_ms: int = big(default=0)
    ended_at_ms: int | None = big(default=None)

    @property
    def reference(self) -> str:
        """Its name at the provider, for good."""
        return f"{self.refund_id}.{self.number}"
