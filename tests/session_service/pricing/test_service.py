from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import Connection, select

from session_service.audit import AuditRow
from session_service.database import Database, every, table_of
from session_service.pricing import service
from session_service.pricing.errors import NoTariffError, TariffClashError
from tests.session_service.ledger.wallets import refuses

NOW_MS = 1_700_000_000_000


def defaults(c: Connection) -> None:
    service.ensure_defaults(c, NOW_MS, "EUR")


async def test_the_first_tariffs_have_been_in_force_since_ever_and_are_made_once(database: Database) -> None:
    await database.write(defaults)
    await database.write(defaults)
    at_once = await database.read(lambda c: service.tariffs_in_force(c, 0))
    assert set(at_once) == {"bike", "pod"}
    audits = await database.read(lambda c: every(c, AuditRow, select(table_of(AuditRow))))
    assert [(row.actor, row.action, row.at_ms) for row in audits] == [
        ("rule:first-tariff", "tariff.set", NOW_MS),
        ("rule:first-tariff", "tariff.set", NOW_MS),
    ]


async def test_a_new_tariff_holds_from_its_moment_on(database: Database) -> None:
    def work(c: Connection) -> None:
        defaults(c)
        old = service.tariff_in_force(c, "bike", NOW_MS)
        new = msgspec.structs.replace(old, interval_price_minor=20)
        service.set_tariff(c, "bike", new, NOW_MS, "operator:x", at_ms=NOW_MS)
        assert service.tariff_in_force(c, "bike", NOW_MS - 1) == old
        assert service.tariff_in_force(c, "bike", NOW_MS) == new
        assert service.tariff_in_force(c, "pod", NOW_MS) != new

    await database.write(work)


async def test_two_tariffs_cannot_begin_at_the_same_moment(database: Database) -> None:
    def work(c: Connection) -> None:
        defaults(c)
        terms = service.tariff_in_force(c, "bike", NOW_MS)
        service.set_tariff(c, "bike", terms, NOW_MS, "operator:x", at_ms=NOW_MS)
        with refuses(TariffClashError):
            service.set_tariff(c, "bike", terms, NOW_MS, "operator:x", at_ms=NOW_MS)

    await database.write(work)


async def test_all_tariffs_are_in_one_currency(database: Database) -> None:
    def work(c: Connection) -> None:
        defaults(c)
        foreign = msgspec.structs.replace(service.tariff_in_force(c, "bike", NOW_MS), currency="SEK")
        with refuses(TariffClashError) as refused:
            service.set_tariff(c, "bike", foreign, NOW_MS, "operator:x", at_ms=NOW_MS)
        assert refused.value.extra == {"currency": "EUR"}

    await database.write(work)


async def test_a_kind_without_a_tariff_cannot_be_let(database: Database) -> None:
    with pytest.raises(NoTariffError):
        await database.read(lambda c: service.tariff_in_force(c, "bike", NOW_MS))
