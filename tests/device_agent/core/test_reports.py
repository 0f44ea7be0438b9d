"""Numbering, sending and acknowledging of reports; heartbeats; what the senses say; bad messages."""

from __future__ import annotations

import logging
from itertools import pairwise

import pytest

from broker.contract.codes import Action, Bolt, Cause, Fault, Reason, Result
from broker.contract.envelope import Rejection, sign
from broker.contract.keys import key_id, new_command_key
from broker.contract.messages import BoltReport, FaultReport, MovedReport, Position, Report, ReportAck
from broker.contract.topics import Channel
from device_agent.core.events import LinkDown, MessageArrived
from device_agent.core.limits import Limits
from device_agent.ports import Transaction
from tests.support.agent_world import COMMAND_KEY, DEVICE, World

TORGAU = Position(lat=51.56, lon=13.0, accuracy_m=5.0)
ONE_KM_ON = Position(lat=51.569, lon=13.0, accuracy_m=5.0)
TEN_M_ON = Position(lat=51.56009, lon=13.0, accuracy_m=5.0)


@pytest.fixture
def world() -> World:
    return linked(World())


def linked(world: World) -> World:
    world.link_up()
    world.link.take_new_reports()
    return world


def bodies(world: World) -> list[object]:
    return [report.body for report in world.link.take_new_reports()]


def sequence(reports: list[Report]) -> list[int]:
    return [report.seq for report in reports]


def test_reports_made_without_a_link_are_sent_in_order_when_it_comes() -> None:
    world = World()
    for _ in range(3):
        world.send(world.command(Action.IDENTIFY))
    assert world.link.report_tokens == []
    world.link_up()
    assert sequence(world.link.take_reports()) == [1, 2, 3, 4]


def test_numbers_go_on_over_a_reboot_and_what_is_acknowledged_is_not_sent_again(world: World) -> None:
    world.send(world.command(Action.UNLOCK))
    world.ack(1)
    world.pass_ms(Limits().save_delay_ms)
    world.reboot()
    world.link_up()
    assert sequence(world.link.take_reports()) == [2, 3]


def test_unacknowledged_reports_come_again_with_growing_gaps(world: World) -> None:
    sent_at = []
    for _ in range(200):
        world.pass_ms(1_000)
        if world.link.take_reports():
            sent_at.append(world.clock.now_ms)
    gaps = [later - earlier for earlier, later in pairwise(sent_at)]
    assert gaps == [2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]


def test_only_a_signed_acknowledgement_for_this_journal_and_device_counts(world: World) -> None:
    journal_id = world.journal.snapshot().journal_id
    good = ReportAck(version=1, device=DEVICE, journal_id=journal_id, acked_through=1)
    stranger = new_command_key()
    world.device.feed(
        MessageArrived(channel=Channel.REPORT_ACK, payload=sign(good, stranger, key_id(stranger.public_key())))
    )
    world.send(ReportAck(version=1, device=DEVICE, journal_id="another-journal", acked_through=1))
    world.send(ReportAck(version=1, device="ZZZZZZZZZZ", journal_id=journal_id, acked_through=1))
    world.send(good, retained=True)
    assert world.device.agent.outbox_depth == 1
    world.send(good)
    assert world.device.agent.outbox_depth == 0


def test_an_acknowledgement_beyond_what_was_sent_is_ignored(world: World) -> None:
    world.ack(2)
    assert world.device.agent.outbox_depth == 1


def test_an_acknowledgement_that_says_nothing_new_asks_for_the_rest_but_not_too_often(world: World) -> None:
    world.send(world.command(Action.IDENTIFY))
    world.send(world.command(Action.IDENTIFY))
    world.ack(1)
    world.link.take_reports()
    world.ack(1)
    assert world.link.take_reports() == []
    world.clock.now_ms += Limits().resend_least_ms
    for _ in range(5):
        world.ack(1)
    assert sequence(world.link.take_reports()) == [2, 3]


def test_a_long_silence_is_made_up_for_in_windows() -> None:
    world = World(limits=Limits(window=3))
    for _ in range(9):
        world.send(world.command(Action.IDENTIFY))
    world.link_up()
    assert sequence(world.link.take_reports()) == [1, 2, 3]
    world.ack(2)
    assert sequence(world.link.take_reports()) == [4, 5]
    world.ack(5)
    assert sequence(world.link.take_reports()) == [6, 7, 8]


def test_telemetry_is_dropped_first_and_never_numbered_while_evidence_always_is() -> None:
    world = linked(World(limits=Limits(telemetry_limit=1, full_limit=2, notice_limit=4)))
    world.lock.sense(battery_percent=5)  # one report waits already, the boot's
    assert bodies(world) == []
    world.send(world.command(Action.UNLOCK))
    world.send(world.command(Action.UNLOCK))
    world.send(world.command(Action.LOCK))
    world.send(world.command(Action.UNLOCK))  # refused, and not written down any more
    world.lock.force_open()
    world.pass_ms(60)
    reports = world.link.take_new_reports()
    assert sequence(reports) == [2, 3, 4, 5]
    assert [getattr(r.body, "reason", r.body) for r in reports] == [
        None,
        Reason.OUTBOX_FULL,
        None,
        BoltReport(cause=Cause.FORCED),
    ]
    world.pass_ms(Limits().heartbeat_interval_ms)
    assert world.link.take_heartbeats()[-1].dropped == 3  # battery, refusal, tampering


def test_a_hand_that_closes_the_lock_is_evidence_dated_when_it_happened(world: World) -> None:
    world.send(world.command(Action.UNLOCK))
    world.outcomes()
    world.lock.close_by_hand()
    world.pass_ms(Limits().settle_ms - 1)
    assert world.link.take_new_reports() == []
    world.pass_ms(1)
    (report,) = world.link.take_new_reports()
    assert (report.body, report.uptime_ms, report.status.bolt) == (BoltReport(cause=Cause.HAND), 1_000, Bolt.CLOSED)


def test_a_flickering_sensor_makes_one_report_and_a_command_explains_its_own_flicker(world: World) -> None:
    world.lock.bounce_ms = 42
    world.send(world.command(Action.UNLOCK))
    world.pass_ms(200)
    world.lock.close_by_hand()
    world.pass_ms(200)
    reports = world.link.take_new_reports()
    assert [type(report.body).__name__ for report in reports] == ["CommandReport", "BoltReport"]


def test_a_hand_right_before_a_command_is_told_before_it(world: World) -> None:
    world.lock.force_open()
    world.send(world.command(Action.LOCK))
    first, second = world.link.take_new_reports()
    assert first.body == BoltReport(cause=Cause.FORCED)
    assert second.status.bolt is Bolt.CLOSED


def test_a_refusal_between_a_hand_and_its_settling_does_not_swallow_the_evidence(world: World) -> None:
    world.lock.force_open()
    world.send(world.command(Action.UNLOCK, boot_id="boot-999999"))
    world.pass_ms(60)
    assert BoltReport(cause=Cause.FORCED) in bodies(world)


def test_a_forced_lock_is_tampered_with(world: World) -> None:
    world.lock.force_open()
    world.pass_ms(60)
    assert bodies(world) == [BoltReport(cause=Cause.FORCED), FaultReport(fault=Fault.TAMPERED)]


def test_who_opens_from_inside_is_told_as_that_and_nothing_is_tampered_with(world: World) -> None:
    world.lock.open_from_inside()
    world.pass_ms(60)
    assert bodies(world) == [BoltReport(cause=Cause.HAND, inside=True)]


def test_a_device_that_was_carried_away_says_so_but_not_at_every_fix(world: World) -> None:
    world.lock.sense(position=TORGAU)
    world.lock.sense(position=TEN_M_ON)
    assert bodies(world) == []
    world.lock.sense(position=ONE_KM_ON)
    world.pass_ms(Limits().save_delay_ms)
    assert bodies(world) == [MovedReport()]
    world.lock.sense(position=TORGAU)
    assert bodies(world) == []
    world.pass_ms(Limits().moved_gap_ms + Limits().save_delay_ms)
    assert bodies(world) == [MovedReport()]


def test_a_low_battery_is_told_once_until_it_was_well(world: World) -> None:
    for percent in (16, 15, 14, 17, 15):
        world.lock.sense(battery_percent=percent)
    world.pass_ms(Limits().save_delay_ms)
    assert bodies(world) == [FaultReport(fault=Fault.BATTERY_LOW)]
    world.lock.sense(battery_percent=20)
    world.lock.sense(battery_percent=15)
    world.pass_ms(Limits().save_delay_ms)
    assert bodies(world) == [FaultReport(fault=Fault.BATTERY_LOW)]


def test_telemetry_waits_for_company_so_that_the_card_is_written_once(world: World) -> None:
    world.lock.sense(position=TORGAU)
    saved: list[int] = []
    save = world.journal.save

    def counted(transaction: Transaction) -> None:
        saved.append(len(transaction.reports))
        save(transaction)

    world.journal.save = counted  # type: ignore[method-assign]
    world.ack(1)
    world.lock.sense(position=ONE_KM_ON)
    world.pass_ms(Limits().save_delay_ms // 2)
    world.lock.sense(battery_percent=5)
    assert saved == []
    world.pass_ms(Limits().save_delay_ms // 2)
    assert saved == [2]
    assert world.journal.snapshot().acked_through == 1
    world.lock.sense(battery_percent=50)
    world.lock.sense(battery_percent=5)
    world.send(world.command(Action.IDENTIFY))  # which does not wait, so neither does the other
    assert saved == [2, 2]


def test_heartbeats_come_with_the_link_and_then_regularly(world: World) -> None:
    first = world.link.take_heartbeats()
    world.pass_ms(2 * Limits().heartbeat_interval_ms)
    later = world.link.take_heartbeats()
    assert [beat.uptime_ms for beat in first + later] == [1_000, 31_000, 61_000]
    assert (first[0].last_seq, first[0].outbox_depth) == (1, 1)
    world.device.feed(LinkDown())
    world.pass_ms(100_000)
    assert world.link.take_heartbeats() == []


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"not a token", Rejection.MALFORMED),
        (b"x" * 5_000, Rejection.OVERSIZED),
        (b"\xff\x00.\x80.", Rejection.MALFORMED),
    ],
)
def test_bad_messages_are_counted_logged_once_a_minute_and_have_no_effect(
    world: World, caplog: pytest.LogCaptureFixture, payload: bytes, reason: Rejection
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            world.device.feed(MessageArrived(channel=Channel.COMMAND, payload=payload))
        world.clock.now_ms += Limits().complaint_gap_ms
        world.device.feed(MessageArrived(channel=Channel.COMMAND, payload=payload))
    assert world.device.agent.rejections == {reason: 4}
    assert len(caplog.records) == 2
    assert world.link.take_new_reports() == []


def test_a_command_for_another_device_or_of_the_future_is_dropped(world: World) -> None:
    world.send(world.command(Action.UNLOCK, device="ZZZZZZZZZZ"))
    world.send(world.command(Action.UNLOCK, version=2))
    assert world.device.agent.rejections == {Rejection.WRONG_DEVICE: 1, Rejection.FUTURE_VERSION: 1}
    assert world.lock.history == []


def test_an_acknowledgement_does_not_pass_for_a_command(world: World) -> None:
    token = sign(world.command(Action.UNLOCK), COMMAND_KEY, key_id(COMMAND_KEY.public_key()))
    world.device.feed(MessageArrived(channel=Channel.REPORT_ACK, payload=token))
    assert world.device.agent.rejections == {Rejection.WRONG_TYPE: 1}


def test_with_nothing_to_do_the_agent_wants_no_tick() -> None:
    world = World()
    assert world.device.due_ms() is None
    world.link_up()
    world.ack(1)
    world.pass_ms(10_000)
    assert world.device.due_ms() == 1_000 + Limits().heartbeat_interval_ms


def test_the_status_of_an_outcome_is_read_after_the_movement(world: World) -> None:
    world.lock.movement_ms = 9_000  # longer than the motor may run: it stops half-way
    world.send(world.command(Action.UNLOCK))
    world.pass_ms(5_000)
    report = world.link.take_new_reports()[-1]
    assert report.status.bolt is Bolt.UNKNOWN
    assert getattr(report.body, "result", None) is Result.REFUSED
