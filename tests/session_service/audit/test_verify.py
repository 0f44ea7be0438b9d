"""Rows that somebody changed, with the triggers off that refuse it, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from session_service import audit
from session_service.audit import repository
from session_service.audit.chain import GENESIS, Content, hash_of
from session_service.audit.verify import BREAKS_KEPT, Verdict, verify
from session_service.database import Database

ROWS = 6


def act(number: int) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        audit.record(
            connection, at_ms=number, actor="operator:A", action="test", subject=f"device:{number}", why=f"why {number}"
        )

    return work


@pytest.fixture
async def acted(database: Database) -> Database:
    """A database with six rows."""
    for number in range(1, ROWS + 1):
        await database.write(act(number))
    return database


async def tamper(database: Database, *statements: str) -> None:
    def work(connection: Connection) -> None:
        if connection.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER IF EXISTS audit_no_update"))
            connection.execute(text("DROP TRIGGER IF EXISTS audit_no_delete"))
        else:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            connection.execute(text(statement))

    await database.write(work)


async def verdict_of(database: Database, from_id: int = 1, head: str | None = None) -> Verdict:
    return await database.read(lambda c: verify(c, from_id=from_id, head=head))


async def head_of(database: Database) -> str:
    return (await database.read(repository.head))[1]


def broken_rows(verdict: Verdict) -> list[str]:
    return sorted({found.partition(":")[0] for found in verdict.breaks})


async def test_an_untouched_audit_is_whole(acted: Database) -> None:
    verdict = await verdict_of(acted, head=await head_of(acted))
    assert (verdict.right, verdict.broken, verdict.is_whole) == (ROWS, 0, True)
    assert (verdict.first_id, verdict.last_id, verdict.head) == (1, ROWS, await head_of(acted))


async def test_an_empty_audit_is_whole_and_begins_with_the_genesis(database: Database) -> None:
    verdict = await verdict_of(database, head=GENESIS)
    assert (verdict.right, verdict.is_whole, verdict.head) == (0, True, GENESIS)


async def test_the_first_row_follows_the_genesis(acted: Database) -> None:
    first = (await acted.read(lambda c: repository.after(c, 0, 1)))[0]
    assert (first.id, first.previous) == (1, GENESIS)


@pytest.mark.parametrize("column", ["actor", "action", "subject", "why"])
async def test_an_altered_text_is_found(acted: Database, column: str) -> None:
    await tamper(acted, f"UPDATE audit SET {column} = 'x' WHERE id = 3")  # noqa: S608
    verdict = await verdict_of(acted)
    assert broken_rows(verdict) == ["row 3"]
    assert "changed after it was written" in verdict.breaks[0]
    assert verdict.right == ROWS - 1


async def test_an_altered_time_is_found(acted: Database) -> None:
    await tamper(acted, "UPDATE audit SET at_ms = 99 WHERE id = 3")
    assert broken_rows(await verdict_of(acted)) == ["row 3"]


async def test_an_altered_row_with_a_new_hash_of_its_own_is_found_by_the_next(acted: Database) -> None:
    row = (await acted.read(lambda c: repository.after(c, 2, 1)))[0]
    forged = hash_of(Content(3, row.at_ms, "operator:B", row.action, row.subject, row.why), row.previous)
    await tamper(acted, f"UPDATE audit SET actor = 'operator:B', hash = '{forged}' WHERE id = 3")  # noqa: S608
    verdict = await verdict_of(acted)
    assert broken_rows(verdict) == ["row 4"]
    assert "does not follow the row 3" in verdict.breaks[0]


async def test_a_removed_row_is_found(acted: Database) -> None:
    await tamper(acted, "DELETE FROM audit WHERE id = 3")
    verdict = await verdict_of(acted)
    assert broken_rows(verdict) == ["row 4"]
    assert "row 3 is missing" in verdict.breaks[0]


async def test_the_removed_first_rows_are_found(acted: Database) -> None:
    await tamper(acted, "DELETE FROM audit WHERE id < 3")
    assert "rows 1 to 2 are missing" in (await verdict_of(acted)).breaks[0]


async def test_a_removed_row_whose_number_the_others_moved_up_to_is_found(acted: Database) -> None:
    await tamper(acted, "DELETE FROM audit WHERE id = 5", "UPDATE audit SET id = 5 WHERE id = 6")
    assert broken_rows(await verdict_of(acted)) == ["row 5"]


async def test_an_inserted_row_is_found(acted: Database) -> None:
    await tamper(
        acted,
        "UPDATE audit SET id = id + 10 WHERE id > 3",
        "INSERT INTO audit SELECT 4, at_ms, actor, action, subject, why, previous, hash FROM audit WHERE id = 3",
        "UPDATE audit SET id = id - 9 WHERE id > 10",
    )
    assert "row 4" in broken_rows(await verdict_of(acted))


async def test_an_inserted_row_with_right_hashes_of_its_own_is_found(acted: Database) -> None:
    last = (await acted.read(lambda c: repository.after(c, 2, 1)))[0]
    forged = hash_of(Content(4, 1, "a", "b", "c", ""), last.hash)
    await tamper(
        acted,
        "UPDATE audit SET id = id + 10 WHERE id > 3",
        f"INSERT INTO audit VALUES (4, 1, 'a', 'b', 'c', '', '{last.hash}', '{forged}')",  # noqa: S608
        "UPDATE audit SET id = id - 9 WHERE id > 10",
    )
    assert broken_rows(await verdict_of(acted)) == ["row 5", "row 6", "row 7"]


async def test_rows_that_changed_places_are_found(acted: Database) -> None:
    await tamper(
        acted,
        "UPDATE audit SET id = 99 WHERE id = 3",
        "UPDATE audit SET id = 3 WHERE id = 4",
        "UPDATE audit SET id = 4 WHERE id = 99",
    )
    assert {"row 3", "row 4"} <= set(broken_rows(await verdict_of(acted)))


async def test_removed_newest_rows_are_found_with_a_head_kept_elsewhere_only(acted: Database) -> None:
    kept = await head_of(acted)
    await tamper(acted, "DELETE FROM audit WHERE id > 4")
    assert (await verdict_of(acted)).is_whole
    verdict = await verdict_of(acted, head=kept)
    assert (verdict.is_whole, verdict.right) == (False, 4)
    assert kept in verdict.breaks[0]


async def test_a_chain_written_anew_is_found_with_a_head_kept_elsewhere_only(acted: Database) -> None:
    kept = await head_of(acted)
    await tamper(acted, "DELETE FROM audit")
    for number in range(7, 7 + ROWS):
        await acted.write(act(number))
    assert (await verdict_of(acted)).is_whole
    assert not (await verdict_of(acted, head=kept)).is_whole


async def test_a_head_that_was_kept_is_still_there_when_rows_have_followed(acted: Database) -> None:
    kept = await head_of(acted)
    await acted.write(act(7))
    assert (await verdict_of(acted, head=kept)).is_whole
    assert (await verdict_of(acted, from_id=7, head=kept)).is_whole


async def test_from_a_row_on_the_row_before_is_believed(acted: Database) -> None:
    await tamper(acted, "UPDATE audit SET why = 'x' WHERE id = 2")
    assert (await verdict_of(acted, from_id=3)).right == ROWS - 2
    assert (await verdict_of(acted, from_id=3)).is_whole
    assert not (await verdict_of(acted, from_id=2)).is_whole


async def test_many_breaks_are_counted(acted: Database) -> None:
    for number in range(7, 40):
        await acted.write(act(number))
    await tamper(acted, "UPDATE audit SET why = 'x'")
    verdict = await verdict_of(acted)
    assert (verdict.right, verdict.broken, len(verdict.breaks)) == (0, 39, BREAKS_KEPT)


async def test_the_triggers_refuse_what_these_tests_do_without_them(acted: Database) -> None:
    for statement in ("UPDATE audit SET why = 'x' WHERE id = 3", "DELETE FROM audit WHERE id = 3"):
        with pytest.raises(DBAPIError, match="audit is append-only"):
            await acted.write(lambda c, statement=statement: c.execute(text(statement)))  # type: ignore[misc]


async def test_rows_written_at_once_make_one_chain(database: Database) -> None:
    await asyncio.gather(*(database.write(act(number)) for number in range(60)))
    verdict = await verdict_of(database)
    assert (verdict.right, verdict.broken) == (60, 0)


async def test_a_unit_that_fails_leaves_no_row_and_no_gap(database: Database) -> None:
    def fails(connection: Connection) -> None:
        act(1)(connection)
        msg = "no"
        raise ValueError(msg)

    works = [database.write(fails if number % 3 == 0 else act(number)) for number in range(30)]
    outcomes = await asyncio.gather(*works, return_exceptions=True)
    assert sum(isinstance(outcome, ValueError) for outcome in outcomes) == 10
    verdict = await verdict_of(database)
    assert (verdict.right, verdict.broken) == (20, 0)


async def test_two_rows_of_one_unit_stand_in_their_order(database: Database) -> None:
    def two(connection: Connection) -> None:
        act(1)(connection)
        act(2)(connection)

    await asyncio.gather(*(database.write(two) for _ in range(10)))
    rows = await database.read(lambda c: repository.after(c, 0, 100))
    assert [row.at_ms for row in rows] == [1, 2] * 10
    assert (await verdict_of(database)).is_whole


@pytest.mark.server
async def test_the_chains_lock_is_taken_last(database: Database) -> None:
    """Some audit before they lock a row and some after it; the chain's lock comes last, so there is no deadlock."""

    def then_lock(connection: Connection, number: int) -> None:
        act(number)(connection)
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT id FROM account WHERE id = 'a' FOR UPDATE"))
            connection.execute(text("SELECT pg_sleep(0.01)"))

    def lock_then(connection: Connection, number: int) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT id FROM account WHERE id = 'a' FOR UPDATE"))
            connection.execute(text("SELECT pg_sleep(0.01)"))
        act(number)(connection)

    await database.write(
        lambda c: c.execute(text("INSERT INTO account (id, kind, currency) VALUES ('a', 'revenue', 'EUR')"))
    )
    works = (database.write(lambda c, n=n: (then_lock if n % 2 else lock_then)(c, n)) for n in range(16))  # type: ignore[misc]
    await asyncio.gather(*works)
    assert (await verdict_of(database)).right == 16
