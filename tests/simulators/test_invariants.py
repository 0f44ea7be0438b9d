"""Each violation is planted alone into a world without one, and is seen by its own invariant and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from broker.contract.codes import Action, Bolt, Cause, Reason, Result
from broker.contract.messages import BoltReport, CommandReport
from device_agent.drivers.memory import MovedBy
from simulators.invariants import INVARIANTS, World, ledger_sum_minor, look
from tests.support import ridden_world as rw

Plant = Callable[[World], World | None]


def test_a_good_ride_violates_nothing() -> None:
    assert look(rw.world()) == {name: [] for name in INVARIANTS}


def test_the_seven_have_their_names_in_order() -> None:
    assert list(INVARIANTS) == [
        "no_late_movement",
        "one_movement_per_command",
        "no_movement_without_command",
        "ledger_balances",
        "no_charge_without_unlock",
        "reports_complete",
        "changes_audited",
    ]


def with_device(world: World, **changes: Any) -> World:
    return World(world.books, [replace(world.witnesses[0], **changes)])


def with_token(world: World, signed: str) -> None:
    """Let both sides have this as the first report."""
    world.books.reports[0].token = signed
    cast("dict[int, str]", world.witnesses[0].tokens)[1] = signed


def moved_after_the_deadline(world: World) -> World:
    return with_device(world, movements=[rw.movement(uptime_ms=9_001)])


def moved_in_another_boot(world: World) -> World:
    return with_device(world, movements=[rw.movement(boot_id="boot-number-two")])


def moved_after_a_cancel(world: World) -> World:
    world.books.commands.append(rw.command(id="CANCEL", action="cancel", cancels=rw.UNLOCK))
    cancel = rw.order(id="CANCEL", action="cancel", accepted_uptime_ms=1_000)
    return with_device(world, orders={rw.UNLOCK: rw.order(), "CANCEL": cancel})


def moved_twice(world: World) -> World:
    return with_device(world, movements=[rw.movement(), rw.movement(uptime_ms=1_500)])


def moved_for_an_unknown_command(world: World) -> World:
    return with_device(world, movements=[*world.witnesses[0].movements, rw.movement(command_id="FORGED")])


def moved_for_another_devices_command(world: World) -> None:
    world.books.commands.append(rw.command(id="OTHER", device_id=rw.OTHER_DEVICE))
    world.witnesses[0].movements.append(rw.movement(command_id="OTHER"))


def moved_the_other_way(world: World) -> World:
    return with_device(world, movements=[rw.movement(what=Action.LOCK)])


def moved_without_an_intent(world: World) -> World:
    return with_device(world, orders={})


def wallet_differs_from_its_postings(world: World) -> None:
    world.books.wallets[0].balance_minor = 1_861


def wallet_below_its_limit(world: World) -> None:
    world.books.wallets[0].balance_minor -= 2_000
    world.books.postings[1].amount_minor += 2_000


def money_held_without_a_hold(world: World) -> None:
    world.books.wallets[0].held_minor = 500


def hold_ended_twice(world: World) -> None:
    world.books.hold_ends.append(rw.row(hold_id="HOLD", kind="released", transfer_id=None))


def hold_posted_without_a_transfer(world: World) -> None:
    world.books.hold_ends[0].transfer_id = None


def hold_of_a_closed_session_is_open(world: World) -> None:
    world.books.hold_ends.clear()
    world.books.wallets[0].held_minor = 500


def hold_without_a_session(world: World) -> None:
    world.books.holds[0].session_id = "NONE"


def transfer_that_moves_nothing(world: World) -> None:
    world.books.transfers.append(rw.row(id="EMPTY", kind="top_up", session_id=None))


def charged_when_the_lock_jammed(world: World) -> None:
    jammed = CommandReport(
        command_id=rw.UNLOCK,
        action=Action.UNLOCK,
        result=Result.REFUSED,
        reason=Reason.JAMMED,
        accepted_uptime_ms=1_000,
        moved=True,
    )
    with_token(world, rw.token(1, jammed, Bolt.CLOSED, 1_100))


def revenue_without_a_fare_or_an_unlock(world: World) -> None:
    charged_when_the_lock_jammed(world)
    world.books.sessions[0].fare_minor = 0


def unlocked_and_the_session_does_not_know(world: World) -> None:
    world.books.sessions[0].state = world.books.events[-1].to_state = "not_unlocked"


def unlocked_for_nobodys_session(world: World) -> None:
    world.books.commands.append(rw.command(id="COMMAND-RULE", session_id=None, asked_by="rule:sweeper"))
    told = CommandReport(
        command_id="COMMAND-RULE", action=Action.UNLOCK, result=Result.DONE, accepted_uptime_ms=70_000, moved=True
    )
    signed = rw.token(3, told, Bolt.OPEN, 70_000)
    world.books.reports.append(rw.stored(3, signed, 70_000, "COMMAND-RULE"))
    world.books.states[0].acked_through = 3
    world.witnesses[:] = [replace(world.witnesses[0], last_seq=3)]


def report_missing_in_between(world: World) -> None:
    world.books.reports[1].seq = 3
    world.books.reports[1].token = rw.token(3, BoltReport(cause=Cause.HAND), Bolt.CLOSED, 60_000)
    world.books.states[0].acked_through = 3
    world.witnesses[:] = [replace(world.witnesses[0], last_seq=3)]


def report_acknowledged_and_lost(world: World) -> World:
    return with_device(world, acked_through=3, last_seq=3)


def report_that_the_device_never_wrote(world: World) -> World:
    return with_device(world, last_seq=1, acked_through=1)


def report_that_differs_from_the_devices(world: World) -> World:
    return with_device(world, tokens={1: "another", 2: world.books.reports[1].token})


def report_stored_as_something_else(world: World) -> None:
    world.books.reports[1].uptime_ms = 61_000


def more_counted_as_stored_than_is(world: World) -> None:
    world.books.states[0].acked_through = 3


def one_report_with_two_effects(world: World) -> None:
    world.books.events[4].event = "locked"


def session_changed_without_an_event(world: World) -> None:
    world.books.sessions[0].state = "review"


def event_left_out(world: World) -> None:
    del world.books.events[1]


def event_by_nobody(world: World) -> None:
    world.books.events[1].actor = ""


def device_changed_without_audit(world: World) -> None:
    world.books.devices[0].service_since_ms = 2


def without_audit_of(world: World, subject: str) -> None:
    """Let a row never have been written."""
    world.books.audit[:] = rw.chained(*(row for row in world.books.audit if row.subject != subject))


def device_registered_without_audit(world: World) -> None:
    without_audit_of(world, f"device:{rw.DEVICE}")


def label_minted_without_audit(world: World) -> None:
    without_audit_of(world, "label:LABEL")


def operator_added_without_audit(world: World) -> None:
    without_audit_of(world, "operator:O")


def operator_revoked_without_audit(world: World) -> None:
    world.books.operators[0].revoked_at_ms = 2


def alert_acknowledged_without_audit(world: World) -> None:
    world.books.alerts.append(rw.alert(acknowledged_at_ms=7, version=2))
    rw.audited(world, "alert.assign", f"device:{rw.DEVICE}", "jammed: to O")  # at that moment, and of another act


def alert_cleared_without_audit(world: World) -> None:
    world.books.alerts.append(rw.alert(cleared_at_ms=7, cleared_by="operator:O"))


def alert_assigned_without_audit(world: World) -> None:
    world.books.alerts.append(rw.alert(assignee="P", version=2))
    rw.audited(world, "alert.assign", f"device:{rw.DEVICE}", "jammed: to O, nearer")


def alert_muted_without_audit(world: World) -> None:
    world.books.alerts.append(rw.alert(muted_until_ms=9, version=2))
    rw.audited(world, "alert.acknowledge", f"device:{rw.DEVICE}", "jammed")


def alert_assigned_to_nobody_without_audit(world: World) -> None:
    world.books.alerts.append(rw.alert(version=3))
    rw.audited(world, "alert.assign", f"device:{rw.DEVICE}", "jammed: to O")


def visit_done_without_audit(world: World) -> None:
    world.books.alerts.append(rw.alert(cleared_at_ms=7, cleared_by="operator:O", version=2))
    rw.audited(world, "alert.clear_at_visit", f"device:{rw.DEVICE}", "jammed: oiled")


def passkey_added_without_audit(world: World) -> None:
    world.books.passkeys.append(rw.passkey())


def passkey_used_without_audit(world: World) -> None:
    world.books.passkeys.append(rw.passkey(used_at_ms=8))
    rw.audited(world, "passkey.add", "rider:RIDER", "passkey PASSKEY")


def passkey_removed_without_audit(world: World) -> None:
    rw.audited(world, "passkey.add", "rider:RIDER", "passkey PASSKEY")
    rw.audited(world, "passkey.remove", "rider:RIDER", "passkey OTHER")


def site_noted_without_audit(world: World) -> None:
    site = "01M829MVZZW79VCRGCX09ZJ899"
    rw.audited(world, "visit.note", f"device:{site}", "no power")
    world.books.notes.append(rw.row(stop=site, at_ms=7))


def approval_asked_without_audit(world: World) -> None:
    world.books.approvals.append(rw.approval())


def approval_decided_without_audit(world: World) -> None:
    rw.audited(world, "approval.ask unlock", f"device:{rw.DEVICE}", at_ms=6)
    world.books.approvals.append(rw.approval(decided_by="operator:P", decided_at_ms=7))


def one_person_asked_and_approved(world: World) -> None:
    world.books.commands[0].asked_by = world.books.commands[0].approved_by = "rider:RIDER"


def audit_row_altered(world: World) -> None:
    world.books.audit[1].why = "another one"


def audit_row_removed(world: World) -> None:
    world.books.audit.insert(0, rw.row(at_ms=1, actor="cli:root", action="x", subject="x:y", why=""))
    world.books.audit[:] = rw.chained(*world.books.audit)[1:]


def audit_rows_reordered(world: World) -> None:
    world.books.audit.reverse()


def change_audited_for_nobody(world: World) -> None:
    world.books.audit[0].actor = ""
    world.books.audit[:] = rw.chained(*world.books.audit)


def operator_ended_a_session_without_audit(world: World) -> None:
    world.books.events[3].actor = "operator:O"


def label_revoked_without_audit(world: World) -> None:
    world.books.labels[0].revoked_at_ms = 2


def operator_ordered_without_audit(world: World) -> None:
    world.books.commands.append(rw.command(id="ORDER", session_id=None, action="identify", asked_by="operator:O"))


PLANTS: dict[str, list[Plant]] = {
    "no_late_movement": [moved_after_the_deadline, moved_in_another_boot, moved_after_a_cancel],
    "one_movement_per_command": [moved_twice],
    "no_movement_without_command": [
        moved_for_an_unknown_command,
        moved_for_another_devices_command,
        moved_the_other_way,
        moved_without_an_intent,
    ],
    "ledger_balances": [
        wallet_differs_from_its_postings,
        wallet_below_its_limit,
        money_held_without_a_hold,
        hold_ended_twice,
        hold_posted_without_a_transfer,
        hold_of_a_closed_session_is_open,
        hold_without_a_session,
        transfer_that_moves_nothing,
    ],
    "no_charge_without_unlock": [
        charged_when_the_lock_jammed,
        revenue_without_a_fare_or_an_unlock,
        unlocked_and_the_session_does_not_know,
        unlocked_for_nobodys_session,
    ],
    "reports_complete": [
        report_missing_in_between,
        report_acknowledged_and_lost,
        report_that_the_device_never_wrote,
        report_that_differs_from_the_devices,
        report_stored_as_something_else,
        more_counted_as_stored_than_is,
        one_report_with_two_effects,
    ],
    "changes_audited": [
        session_changed_without_an_event,
        event_left_out,
        event_by_nobody,
        device_changed_without_audit,
        device_registered_without_audit,
        label_minted_without_audit,
        change_audited_for_nobody,
        alert_acknowledged_without_audit,
        alert_cleared_without_audit,
        alert_assigned_without_audit,
        alert_assigned_to_nobody_without_audit,
        alert_muted_without_audit,
        visit_done_without_audit,
        passkey_added_without_audit,
        passkey_used_without_audit,
        passkey_removed_without_audit,
        site_noted_without_audit,
        operator_ended_a_session_without_audit,
        label_revoked_without_audit,
        operator_ordered_without_audit,
        operator_added_without_audit,
        operator_revoked_without_audit,
        approval_asked_without_audit,
        approval_decided_without_audit,
        one_person_asked_and_approved,
        audit_row_altered,
        audit_row_removed,
        audit_rows_reordered,
    ],
}


@pytest.mark.parametrize(
    ("name", "plant"), [pytest.param(n, p, id=p.__name__) for n, plants in PLANTS.items() for p in plants]
)
def test_a_planted_violation_is_seen_by_its_invariant_alone(name: str, plant: Plant) -> None:
    world = rw.world()
    found = look(plant(world) or world)
    assert {name for name, lines in found.items() if lines} == {name}


@pytest.mark.parametrize("end", [("passkey.remove", "passkey PASSKEY"), ("rider.erase", "asked for")])
def test_a_passkey_that_its_rider_removed_or_erased_is_missed_by_nobody(end: tuple[str, str]) -> None:
    world = rw.world()
    rw.audited(world, "passkey.add", "rider:RIDER", "passkey PASSKEY")
    rw.audited(world, end[0], "rider:RIDER", end[1])
    assert not any(look(world).values())


def test_a_hand_on_the_lock_needs_no_command() -> None:
    world = with_device(rw.world(), movements=[rw.movement(cause=MovedBy.HAND, command_id=None)])
    assert not any(look(world).values())


def test_money_that_appears_in_a_wallet_shows_in_the_sum() -> None:
    world = rw.world()
    assert ledger_sum_minor(world) == 0
    world.books.wallets[0].balance_minor += 7
    assert ledger_sum_minor(world) == 7
