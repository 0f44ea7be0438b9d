"""Rules about tariffs: one in force for a kind at any moment, never changed, only followed by the next."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from session_service import audit, clock
from session_service.errors import ChangedMeanwhileError
from session_service.pricing import repository, tariff
from session_service.pricing.errors import NoTariffError, TariffClashError
from session_service.pricing.model import TariffRow
from session_service.pricing.tariff import Tariff

ALWAYS_MS: Final = 0  # replays live in the past: the first tariff has been in force since the epoch

_DEFAULTS: Final[dict[str, dict[str, int]]] = {
    # 0.50 to unlock and 0.15 a minute, 15.00 a day; the hold covers half an hour, longer than nine rides in ten
    "bike": {
        "unlock_fee_minor": 50,
        "interval_s": 60,
        "interval_price_minor": 15,
        "free_s": 0,
        "cap_minor": 1_500,
        "max_session_s": 86_400,
        "hold_minor": 500,
    },
    # nothing to unlock and 1.00 for each quarter of an hour, 30.00 a day; the hold covers a nap of two and a half hours
    "pod": {
        "unlock_fee_minor": 0,
        "interval_s": 900,
        "interval_price_minor": 100,
        "free_s": 0,
        "cap_minor": 3_000,
        "max_session_s": 86_400,
        "hold_minor": 1_000,
    },
}


def tariff_in_force(connection: Connection, kind: str, at_ms: int) -> Tariff:
    """Return the tariff for ``kind`` at a moment of civil time. One prepared statement: every Start asks.

    Raises:
        NoTariffError: there is none.
    """
    terms = repository.terms_in_force(connection, kind, at_ms)
    if terms is None:
        msg = f"An operator has to set a tariff for {kind}s first."
        raise NoTariffError(msg, kind=kind)
    return tariff.parse(terms)


def tariffs_in_force(connection: Connection, at_ms: int) -> dict[str, Tariff]:
    """Return the tariffs at a moment of civil time, by kind."""
    found = {kind: repository.terms_in_force(connection, kind, at_ms) for kind in repository.kinds(connection)}
    return {kind: tariff.parse(terms) for kind, terms in found.items() if terms is not None}


def version(rows: Sequence[TariffRow]) -> str:
    """Return the name of all tariffs together, as whoever sets the next one has seen them: 16 hexadecimal digits."""
    return hashlib.sha256("\n".join(row.id for row in rows).encode()).hexdigest()[:16]


def ensure_seen(connection: Connection, seen_version: str) -> None:
    """Let a change pass that was decided on the tariffs as they are; nobody else can change them until it is done.

    Raises:
        ChangedMeanwhileError: another one was set since.
    """
    repository.lock(connection)
    now = version(repository.every_tariff(connection))
    if seen_version != now:
        msg = "Somebody has set another tariff. Look at them again: GET /v1/ops/tariffs."
        raise ChangedMeanwhileError(msg, version=now)


def set_tariff(  # noqa: PLR0913 - the facts of one decision
    connection: Connection, kind: str, terms: Tariff, from_ms: int, actor: str, *, at_ms: int, why: str = ""
) -> TariffRow:
    """Let ``terms`` hold for sessions of ``kind`` that start at ``from_ms`` (civil time) or later.

    Sessions under way keep the tariff that was frozen into them.

    Args:
        connection: a transaction.
        kind: a kind of device.
        terms: the tariff.
        from_ms: when it begins.
        actor: who sets it, for the audit.
        at_ms: now, in real time, for the audit.
        why: their reason, for the audit.

    Raises:
        TariffClashError: another tariff begins at that very moment, or the currency is not that of the others.
    """
    if repository.begins_at(connection, kind, from_ms):
        msg = f"A tariff for {kind}s begins at that very moment already; let this one begin later."
        raise TariffClashError(msg, kind=kind, in_force_from_ms=from_ms)
    other = repository.any_terms(connection)
    if other is not None and (currency := tariff.parse(other).currency) != terms.currency:
        msg = f"Wallets here are in {currency}; give the prices in {currency}."
        raise TariffClashError(msg, currency=currency)
    row = TariffRow(id=clock.new_id(), kind=kind, in_force_from_ms=from_ms, terms=terms.as_json())
    repository.add(connection, row)
    audit.record(
        connection,
        at_ms=at_ms,
        actor=actor,
        action="tariff.set",
        subject=f"tariff:{row.id}",
        why=f"{kind} from {clock.rfc3339(from_ms)}" + (f": {why}" if why else ""),
    )
    return row


def ensure_defaults(connection: Connection, now_ms: int, currency: str) -> None:
    """Give every kind that has no tariff a sensible first one, in force since ever. Safe to repeat.

    Raises:
        TariffClashError: the tariffs that exist are in another currency.
    """
    known = repository.kinds(connection)
    for kind, terms in _DEFAULTS.items():
        if kind not in known:
            set_tariff(
                connection, kind, Tariff(currency=currency, **terms), ALWAYS_MS, "rule:first-tariff", at_ms=now_ms
            )
