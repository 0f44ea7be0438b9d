"""Faults to plant in the rules, and whether the state machine finds each: what it is worth. Run by hand or in a soak.

    python -m tests.session_service.sessions.planted_faults             # all of them, a minute each at the most
    python -m tests.session_service.sessions.planted_faults debt tariff  # those with such a word in their name

Each fault is a change of the source, made in a copy, where ``test_rules_machine.py`` then runs as in ``make test``. The
exit status is 1 if a fault stays unfound, or can no longer be planted because the code has changed. Not in the list: a
Start that does not look whether the device is taken. The database refuses the second session, and nothing goes wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.planting import ROOT, Change, copy_source, plant, run_tests

MACHINE: Final = "tests/session_service/sessions/test_rules_machine.py"
MONEY: Final = "session_service/ledger/rules.py"
MACHINERY: Final = "session_service/sessions/machine.py"
MOVES: Final = "session_service/sessions/moves.py"
SETTLEMENT: Final = "session_service/sessions/settlement.py"
EVIDENCE: Final = "session_service/sessions/evidence.py"
DOUBT: Final = "session_service/sessions/doubt.py"
SERVICE: Final = "session_service/sessions/service.py"
REPORTS: Final = "session_service/fleet/reports.py"
SESSION_SQL: Final = "session_service/sessions/repository.py"
COMMAND_SQL: Final = "session_service/commands/repository.py"
DEVICES: Final = "session_service/devices/service.py"
TABLE_END: Final = "    (_S.SETTLING, _E.SETTLED): _S.CLOSED,\n"


@dataclass(frozen=True)
class Fault:
    """A wrong ``new`` in the place of ``old``, which stands once in ``file``."""

    name: str
    file: str
    old: str
    new: str


FAULTS: Final = (
    Fault(
        "what opens after the end stands open unseen",
        EVIDENCE,
        "if state is SessionState.CLOSED and because.at_ms > _over_at_ms(session):",
        "if False:",
    ),
    Fault(
        "a late word of an unlock before the end holds the device",
        EVIDENCE,
        "because.at_ms > _over_at_ms(session)",
        "_over_at_ms(session)",
    ),
    Fault(
        "hold not released when the lock jams",
        MOVES,
        "    ledger.release_hold(connection, session.hold_id, kind=kind, at_ms=because.at_ms)\n",
        "    if event is not Event.STAYED_SHUT:\n"
        "        ledger.release_hold(connection, session.hold_id, kind=kind, at_ms=because.at_ms)\n",
    ),
    Fault(
        "hold not released when the grace time has passed",
        MOVES,
        "    ledger.release_hold(connection, session.hold_id, kind=kind, at_ms=because.at_ms)\n",
        "    if event is not Event.GRACE_PASSED:\n"
        "        ledger.release_hold(connection, session.hold_id, kind=kind, at_ms=because.at_ms)\n",
    ),
    Fault(
        "expired hold called released",
        MOVES,
        "HoldEndKind.EXPIRED if event is Event.GRACE_PASSED else HoldEndKind.RELEASED",
        "HoldEndKind.RELEASED",
    ),
    Fault(
        "fare up to Finish and one interval more",
        SETTLEMENT,
        "else min(at_ms, ride.finish_ms)",
        "else min(at_ms, ride.finish_ms) + ride.tariff.interval_s * 1000",
    ),
    Fault(
        "fare up to the lock's confirmation, not to Finish", SETTLEMENT, "else min(at_ms, ride.finish_ms)", "else at_ms"
    ),
    Fault(
        "fare up to Finish though the lock was shut before it",
        SETTLEMENT,
        "else min(at_ms, ride.finish_ms)",
        "else ride.finish_ms",
    ),
    Fault("used on after Finish for nothing", SETTLEMENT, "return at_ms if used_after else", "return"),
    Fault(
        "undone in another place, too",
        SETTLEMENT,
        "<= ride.tariff.grace_s * 1000 and same_place(ride.start, end)",
        "<= ride.tariff.grace_s * 1000",
    ),
    Fault(
        "operator's end charged up to now, not to the last evidence",
        SETTLEMENT,
        "return min([at_ms, *known])",
        "return at_ms",
    ),
    Fault(
        "second unlock starts the meter anew",
        EVIDENCE,
        "started_at_ms=because.at_ms if first else session.started_at_ms",
        "started_at_ms=because.at_ms",
    ),
    Fault(
        "late proof makes the session active again",
        EVIDENCE,
        "    if state is SessionState.NOT_UNLOCKED:\n        return (_proven_late(connection, session, because),)\n",
        "",
    ),
    Fault(
        "charge decided after the release",
        SERVICE,
        "if ended_at_ms is not None and repository.hold_end(connection, session.hold_id) is not None:",
        "if False:",
    ),
    Fault("debt ignored at Start", MONEY, "    if wallet.debt_minor:\n", "    if False:\n"),
    Fault(
        "top-up leaves the debt",
        MONEY,
        "to_debt = min(amount_minor, wallet.debt_minor)",
        "to_debt = min(0, amount_minor)",
    ),
    Fault(
        "fare takes what another session has set aside",
        MONEY,
        "paid = min(amount_minor, wallet.available_minor)",
        "paid = min(amount_minor, wallet.balance_minor)",
    ),
    Fault("settled twice", MACHINERY, TABLE_END, TABLE_END + "    (_S.CLOSED, _E.LOCKED): _S.SETTLING,\n"),
    Fault(
        "a paused session ended by its lock",
        MACHINERY,
        TABLE_END,
        TABLE_END + "    (_S.PAUSED, _E.LOCKED): _S.SETTLING,\n",
    ),
    Fault(
        "grace time passed too soon",
        SERVICE,
        "because.now_ms + self._settings.unknown_grace_ms",
        "because.now_ms + self._settings.unknown_grace_ms // 2",
    ),
    Fault(
        "unknown without a cancel",
        SERVICE,
        "return Moved((change,), (cancel,) if cancel else ())",
        "return Moved((change,))",
    ),
    Fault(
        "second Finish moves the meter",
        SERVICE,
        "session.finish_requested_at_ms or max(civil_ms, session.started_at_ms or 0)",
        "max(civil_ms, session.started_at_ms or 0)",
    ),
    Fault(
        "fare by the tariff of today, not the frozen one",
        MOVES,
        "    settled = settle(ride, event, because.at_ms, because.place)\n",
        "    from session_service.pricing import service as pricing\n"
        "    ride = replace(ride, tariff=pricing.tariff_in_force(connection, session.kind, because.at_ms))\n"
        "    settled = settle(ride, event, because.at_ms, because.place)\n",
    ),
    Fault(
        "longest session in real time",
        MOVES,
        "clock.real_span_ms(tariff_of(session).max_session_s * 1000)",
        "tariff_of(session).max_session_s * 1000",
    ),
    Fault("a used thing called shut for nothing", DOUBT, "return in_time and unused and", "return in_time and"),
    Fault(
        "a broken thing let again",
        DOUBT,
        "    if session.started_at_ms is not None and _is_still_theirs(connection, session):\n",
        "    if False:\n",
    ),
    Fault("gaps in a journal accepted", REPORTS, "if report.seq != stored + 1:", "if report.seq <= stored:"),
    Fault(
        "reports dated by their arrival",
        REPORTS,
        "return min(now_ms, real_time_of(known.anchor, report.uptime_ms))",
        "return now_ms",
    ),
    Fault(
        "a pod's guest put out by bolting the door past the longest session",
        EVIDENCE,
        "if session.kind == Kind.POD and session.finish_requested_at_ms is None:",
        "if session.kind == Kind.POD and session.state in {SessionState.ACTIVE, SessionState.PAUSED}:",
    ),
    Fault("an earlier boot's report fails the command", EVIDENCE, " or not newest:", ":"),
    Fault(
        "a case in review hears what the next rider does",
        SESSION_SQL,
        'select(_SESSION).where(_SESSION.c.device_id == bindparam("device_")).order_by(',
        'select(_SESSION).where(_SESSION.c.device_id == bindparam("device_"), _SESSION.c.state == "review").order_by(',
    ),
    Fault("a command given up stays unknown", COMMAND_SQL, "(*OPEN, CommandState.UNKNOWN)", "OPEN"),
    Fault(
        "a rule ends a technician's maintenance",
        DEVICES,
        "set(Service) - {to, Service.MAINTENANCE}",
        "set(Service) - {to}",
    ),
)


def found(fault: Fault, folder: Path) -> str:
    """Run the machine on a copy with the fault in it; return how it broke, or nothing."""
    copy_source(ROOT, folder)
    if not plant(Change(fault.file, fault.old, fault.new), folder):
        return "NOT PLANTED: the code has changed"
    ran = run_tests(folder, [MACHINE], "-x", environment={"UNLATCH_RULES_NO_SHRINK": "1"})
    return (ran.error or "failed")[:90] if ran.status else ""


def main() -> int:
    """Plant one after the other and print what became of it."""
    parser = argparse.ArgumentParser(
        description="Plant faults in a copy of the rules and see the state machine find them.",
        epilog="example: python -m tests.session_service.sessions.planted_faults debt tariff",
    )
    parser.add_argument("words", nargs="*", help="plant those with one of these words in their name")
    words = parser.parse_args().words
    unfound = 0
    for fault in FAULTS:
        if words and not any(word in fault.name for word in words):
            continue
        with tempfile.TemporaryDirectory() as folder:
            how = found(fault, Path(folder))
        unfound += not how or how.startswith("NOT")
        print(f"{'found  ' if how else 'UNFOUND'}  {fault.name}: {how}", flush=True)  # noqa: T201 - a program of its own
    return 1 if unfound else 0


if __name__ == "__main__":
    sys.exit(main())
