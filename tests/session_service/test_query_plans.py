"""What runs for every rider, or every second, finds its rows by an index: a fleet is years old one day."""

from __future__ import annotations

from types import ModuleType

import pytest
from sqlalchemy import Connection, Select, Update
from sqlalchemy.sql.dml import UpdateBase

from session_service import idempotency
from session_service.accounts import repository as accounts
from session_service.commands import repository as commands
from session_service.devices import heartbeats
from session_service.devices import repository as devices
from session_service.finding import repository as finding
from session_service.fleet import report_log_repository as report_log
from session_service.fleet import repository as fleet
from session_service.keys import repository as keys
from session_service.ledger import repository as ledger
from session_service.passkeys import repository as passkeys
from session_service.prepared import Prepared
from session_service.presence import repository as presence
from session_service.sessions import repository as sessions

NOT_ASKED = {
    "_HOLD_AND_WALLET",  # a part of other statements
    "_QUEUE_UP",  # PostgreSQL's alone, and of no table
}
WHOLE = {
    "_CITY",  # counts the whole fleet, once in 15 s (session_service/finding/service.py)
    "_COUNTS",  # counts the live sessions for /metrics, by an index that holds no others, once in 10 s
    "_REVIEWS",  # the same of those in review
}


def statements(module: ModuleType) -> list[tuple[str, Select[object] | UpdateBase]]:
    """Return the statements that a module keeps, by name."""
    kept = ((name, it._statement if isinstance(it, Prepared) else it) for name, it in vars(module).items())
    return [(name, it) for name, it in kept if isinstance(it, Select | Update) and name not in NOT_ASKED]


def plan(connection: Connection, statement: Select[object] | UpdateBase) -> list[str]:
    compiled = statement.compile(dialect=connection.dialect)
    required = (bind for bind in compiled.binds.values() if bind.required)
    state = compiled.construct_expanded_state({bind.key: ["x"] if bind.expanding else "x" for bind in required})
    values = tuple(state.parameters[name] for name in state.positiontup or ())
    return [row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {state.statement}", values)]


@pytest.mark.parametrize(
    "module",
    [
        accounts,
        commands,
        devices,
        finding,
        fleet,
        heartbeats,
        idempotency,
        ledger,
        passkeys,
        presence,
        report_log,
        sessions,
    ],
)
def test_no_statement_reads_a_whole_table(connection: Connection, module: ModuleType) -> None:
    found = statements(module)
    assert found
    for name, statement in found:
        if name in WHOLE:
            continue
        steps = plan(connection, statement)
        assert not [step for step in steps if step.startswith("SCAN ") and step != "SCAN CONSTANT ROW"], (name, steps)


@pytest.mark.parametrize(
    ("module", "name", "index"),
    [
        (sessions, "_TARGET", "session_live_device"),
        (sessions, "_LIVE_ON", "session_live_device"),
        (sessions, "_NEWEST_ON", "session_of_device"),
        (sessions, "_DUE", "session_due"),
        (sessions, "_COUNTS", "session_due"),
        (sessions, "_REVIEWS", "session_review"),
        (commands, "_OUTBOX", "command_outbox"),
        (commands, "_GIVE_UP", "command_unanswered"),
        (finding, "_FREE_NEAR", "device_state_place"),
        (finding, "_FREE_NEAR", "session_live_device"),
        (keys, "_UNCONFIRMED", "device_state_unconfirmed"),
        (report_log, "_BEFORE", "report_log"),
    ],
)
def test_what_is_asked_all_the_time_has_an_index_of_its_own(
    connection: Connection, module: ModuleType, name: str, index: str
) -> None:
    steps = plan(connection, dict(statements(module))[name])
    assert any(index in step for step in steps), steps
