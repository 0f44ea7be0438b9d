"""A small world in which one ride went well, to plant violations into: both sides as ``invariants`` sees them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from broker.contract.codes import Action, Bolt, Cause, Result
from broker.contract.envelope import sign
from broker.contract.keys import new_report_key
from broker.contract.messages import VERSION, Body, BoltReport, CommandReport, Report, Status
from device_agent.drivers.memory import MovedBy, Movement
from simulators.invariants import World
from simulators.invariants.chain import GENESIS, link
from simulators.records import Books, Witness

DEVICE = "AAAAAAAAAA"
OTHER_DEVICE = "BBBBBBBBBB"
BOOT = "boot-number-one"
JOURNAL = "journal-number-one"
UNLOCK = "COMMAND-UNLOCK"
SESSION = "SESSION"
KEY = new_report_key()


def token(seq: int, body: Body, bolt: Bolt, uptime_ms: int) -> str:
    """Return a signed report of the device."""
    report = Report(
        version=VERSION,
        device=DEVICE,
        journal_id=JOURNAL,
        seq=seq,
        boot_id=BOOT,
        uptime_ms=uptime_ms,
        status=Status(bolt=bolt),
        body=body,
    )
    return sign(report, KEY, "key").decode()


UNLOCKED = CommandReport(
    command_id=UNLOCK, action=Action.UNLOCK, result=Result.DONE, accepted_uptime_ms=1_000, moved=True
)


def row(**columns: Any) -> Any:
    """Return something with the columns as attributes, as a row of a database has."""
    return SimpleNamespace(**columns)


def order(**changes: Any) -> Any:
    """Return a command as the device's journal has it."""
    values = {"id": UNLOCK, "action": "unlock", "boot_id": BOOT, "accepted_uptime_ms": 1_000, "result": "done"}
    return values | changes


def command(**changes: Any) -> Any:
    """Return a command as the service's table has it."""
    values = {
        "id": UNLOCK,
        "device_id": DEVICE,
        "session_id": SESSION,
        "action": "unlock",
        "boot_id": BOOT,
        "expires_uptime_ms": 9_000,
        "cancels": None,
        "asked_by": "rider:RIDER",
        "approved_by": None,
        "created_at_ms": 5,
    }
    return row(**(values | changes))


def approval(**changes: Any) -> Any:
    """Return an order of operator O that waits for a second person."""
    values = {"id": "APPROVAL", "device_id": DEVICE, "asked_by": "operator:O", "asked_at_ms": 6}
    return row(**(values | {"decided_by": None, "decided_at_ms": None} | changes))


def event(seq: int, what: str, before: str, after: str, report_seq: int | None = None) -> Any:
    """Return one move of the session."""
    journal = None if report_seq is None else JOURNAL
    return row(
        session_id=SESSION,
        seq=seq,
        event=what,
        from_state=before,
        to_state=after,
        actor="device:X" if journal else "rider:RIDER",
        journal_id=journal,
        report_seq=report_seq,
    )


def stored(seq: int, signed: str, uptime_ms: int, command_id: str | None) -> Any:
    """Return a report as the service's table has it."""
    return row(
        journal_id=JOURNAL,
        seq=seq,
        device_id=DEVICE,
        boot_id=BOOT,
        uptime_ms=uptime_ms,
        kind="command" if command_id else "bolt",
        command_id=command_id,
        token=signed,
    )


def movement(**changes: Any) -> Movement:
    """Return the motor's one movement."""
    values: dict[str, Any] = {
        "boot_id": BOOT,
        "uptime_ms": 1_001,
        "what": Action.UNLOCK,
        "cause": MovedBy.COMMAND,
        "command_id": UNLOCK,
        "bolt": Bolt.OPEN,
    }
    return Movement(**(values | changes))


def alert(**changes: Any) -> Any:
    """Return an alert of the device that nobody has seen to."""
    values = {"id": "ALERT", "device_id": DEVICE, "kind": "jammed", "version": 1, "assignee": None}
    ends = {"acknowledged_at_ms": None, "muted_until_ms": None, "cleared_at_ms": None, "cleared_by": None}
    return row(**(values | ends | changes))


def passkey(**changes: Any) -> Any:
    """Return a passkey of the rider that was never used."""
    return row(**({"id": "PASSKEY", "rider_id": "RIDER", "created_at_ms": 7, "used_at_ms": None} | changes))


def audited(world: World, action: str, subject: str, why: str = "", at_ms: int = 7) -> None:
    """Let the audit have one row more, by operator O or by the rider of the subject."""
    actor = subject if subject.startswith("rider:") else "operator:O"
    new = row(at_ms=at_ms, actor=actor, action=action, subject=subject, why=why)
    world.books.audit[:] = chained(*world.books.audit, new)


def chained(*rows: Any) -> list[Any]:
    """Return rows of the audit with their ids and hashes."""
    previous = GENESIS
    for number, one in enumerate(rows, 1):
        one.id, one.previous = number, previous
        one.hash = previous = link(one)
    return list(rows)


def books() -> Books:
    """Return the books after one paid ride: 2,000 paid in, 140 earned."""
    first = token(1, UNLOCKED, Bolt.OPEN, 1_100)
    second = token(2, BoltReport(cause=Cause.HAND), Bolt.CLOSED, 60_000)
    return Books(
        accounts=[
            row(id="wallet:RIDER", kind="wallet"),
            row(id="debt:RIDER", kind="debt"),
            row(id="provider:sandbox", kind="provider"),
            row(id="revenue:bike", kind="revenue"),
        ],
        audit=chained(
            row(at_ms=1, actor="operator:O", action="device.register", subject=f"device:{DEVICE}", why=""),
            row(at_ms=1, actor="operator:O", action="label.mint", subject="label:LABEL", why="the first"),
            row(at_ms=1, actor="cli:root", action="operator.add", subject="operator:O", why="Ada"),
        ),
        commands=[command()],
        devices=[row(id=DEVICE, service="ready", service_since_ms=1, created_at_ms=1)],
        events=[
            event(1, "hold_placed", "requested", "held"),
            event(2, "command_issued", "held", "unlocking"),
            event(3, "unlocked", "unlocking", "active", 1),
            event(4, "locked", "active", "settling", 2),
            event(5, "settled", "settling", "closed", 2),
        ],
        hold_ends=[row(hold_id="HOLD", kind="posted", transfer_id="FARE")],
        holds=[row(id="HOLD", rider_id="RIDER", session_id=SESSION, amount_minor=500)],
        operators=[row(id="O", created_at_ms=1, revoked_at_ms=None)],
        labels=[row(id="LABEL", minted_at_ms=1, revoked_at_ms=None)],
        postings=[
            row(
                transfer_id="TOPUP",
                debit_account="provider:sandbox",
                credit_account="wallet:RIDER",
                currency="EUR",
                amount_minor=2_000,
            ),
            row(
                transfer_id="FARE",
                debit_account="wallet:RIDER",
                credit_account="revenue:bike",
                currency="EUR",
                amount_minor=140,
            ),
        ],
        reports=[stored(1, first, 1_100, UNLOCK), stored(2, second, 60_000, None)],
        sessions=[row(id=SESSION, device_id=DEVICE, state="closed", fare_minor=140, version=5)],
        states=[row(device_id=DEVICE, journal_id=JOURNAL, acked_through=2)],
        transfers=[row(id="TOPUP", kind="top_up", session_id=None), row(id="FARE", kind="fare", session_id=SESSION)],
        wallets=[row(rider_id="RIDER", balance_minor=1_860, held_minor=0, debt_minor=0)],
    )


def witness(told: Books) -> Witness:
    """Return the device's side of these books."""
    return Witness(
        device_id=DEVICE,
        journal_id=JOURNAL,
        acked_through=2,
        last_seq=2,
        orders={UNLOCK: order()},
        movements=[movement(), movement(what=Action.LOCK, cause=MovedBy.HAND, command_id=None, uptime_ms=60_000)],
        tokens={report.seq: report.token for report in told.reports},
    )


def world() -> World:
    """Return a world without a violation."""
    told = books()
    return World(told, [witness(told)])
