"""What becomes of commands: the rules of DESIGN 3, each once, with a real journal and lock body."""

from __future__ import annotations

import pytest

from broker.contract.codes import Action, Bolt, Cause, Reason, Result
from broker.contract.envelope import Rejection, sign
from broker.contract.keys import key_id, new_command_key
from broker.contract.messages import BoltReport, BootReport, Command, CommandReport, Status
from broker.contract.topics import Channel
from device_agent.core.agent import Agent
from device_agent.core.effects import Drive, Save
from device_agent.core.events import MessageArrived, Saved, SaveFailed, Started, Tick
from device_agent.core.limits import Limits
from device_agent.core.records import Snapshot
from device_agent.core.reporter import Identity
from device_agent.drivers.memory import BIKE, POD
from tests.support.agent_world import COMMAND_KEY, COMMAND_KEYS, DEVICE, World


@pytest.fixture
def world() -> World:
    world = World()
    world.link_up()
    world.link.take_new_reports()
    return world


def only_outcome(world: World) -> CommandReport:
    (outcome,) = world.outcomes()
    return outcome


def test_a_fresh_unlock_opens_the_lock_and_is_reported_with_what_the_sensor_says(world: World) -> None:
    command = world.command(Action.UNLOCK)
    world.send(command)
    (report,) = world.link.take_reports()
    assert report.body == CommandReport(
        command_id=command.id, action=Action.UNLOCK, result=Result.DONE, accepted_uptime_ms=1_000, moved=True
    )
    assert report.status.bolt is Bolt.OPEN
    assert [(m.command_id, m.uptime_ms) for m in world.lock.history] == [(command.id, 1_000)]


@pytest.mark.parametrize(
    ("late_ms", "result"), [(0, Result.DONE), (1, Result.EXPIRED)], ids=["at the deadline", "a millisecond later"]
)
def test_a_command_is_good_up_to_its_deadline_and_not_after(world: World, late_ms: int, result: Result) -> None:
    command = world.command(Action.UNLOCK, ttl_ms=100)
    world.clock.now_ms += 100 + late_ms
    world.send(command)
    assert only_outcome(world).result is result
    assert len(world.lock.history) == (result is Result.DONE)


def test_a_command_dated_for_another_boot_is_refused(world: World) -> None:
    world.send(world.command(Action.UNLOCK, boot_id="boot-999999"))
    assert only_outcome(world).reason is Reason.STALE_BOOT
    assert world.lock.history == []


@pytest.mark.parametrize(("wall_clock", "result"), [(None, Result.DONE), (100, Result.DONE), (101, Result.EXPIRED)])
def test_exp_counts_only_where_the_wall_clock_is_right(world: World, wall_clock: int | None, result: Result) -> None:
    world.clock.unix_s = wall_clock
    world.send(world.command(Action.UNLOCK, exp=100))
    assert only_outcome(world).result is result


def test_a_repeat_gets_the_same_report_byte_for_byte_and_moves_nothing(world: World) -> None:
    command = world.command(Action.UNLOCK)
    world.send(command)
    first = list(world.link.report_tokens)
    world.link.report_tokens.clear()
    world.ack(2)
    world.pass_ms(3_600_000)  # long after its deadline: its outcome must not become another one
    world.send(command)
    assert world.link.report_tokens == first
    assert len(world.lock.history) == 1


def test_a_repeat_after_a_reboot_gets_the_stored_outcome(world: World) -> None:
    command = world.command(Action.UNLOCK)
    world.send(command)
    world.reboot()
    world.link_up()
    world.link.take_reports()
    world.send(command)
    (report,) = world.link.take_reports()
    assert isinstance(report.body, CommandReport)
    assert report.body.result is Result.DONE
    assert len(world.lock.history) == 1


def test_a_forged_command_is_dropped(world: World) -> None:
    forged = sign(world.command(Action.UNLOCK), new_command_key(), key_id(COMMAND_KEY.public_key()))
    world.device.feed(MessageArrived(channel=Channel.COMMAND, payload=forged))
    assert world.link.take_new_reports() == []
    assert world.lock.history == []
    assert world.device.agent.rejections == {Rejection.BAD_SIGNATURE: 1}


def test_a_retained_command_does_nothing(world: World) -> None:
    world.send(world.command(Action.UNLOCK), retained=True)
    assert world.link.take_new_reports() == []
    assert world.lock.history == []
    assert world.device.agent.rejections == {"retained": 1}


def test_a_cancel_that_comes_first_keeps_the_command_from_ever_moving(world: World) -> None:
    command = world.command(Action.UNLOCK)
    world.send(world.command(Action.CANCEL, cancels=command.id))
    assert only_outcome(world).result is Result.DONE
    world.restart()
    world.link_up()
    world.link.take_reports()
    world.send(command)
    outcome = only_outcome(world)
    assert (outcome.command_id, outcome.action, outcome.reason) == (command.id, Action.UNLOCK, Reason.CANCELLED)
    assert world.lock.history == []


@pytest.mark.parametrize("action", [Action.UNLOCK, Action.IDENTIFY])
def test_a_cancel_of_what_was_done_is_too_late(world: World, action: Action) -> None:
    command = world.command(action)
    world.send(command)
    world.outcomes()
    world.send(world.command(Action.CANCEL, cancels=command.id))
    assert only_outcome(world).reason is Reason.TOO_LATE


def test_a_cancel_during_the_movement_is_too_late(world: World) -> None:
    world.lock.movement_ms = 3_000
    command = world.command(Action.UNLOCK)
    world.send(command)
    world.send(world.command(Action.CANCEL, cancels=command.id))
    assert only_outcome(world).reason is Reason.TOO_LATE


def test_a_cancel_of_a_refused_command_is_done(world: World) -> None:
    command = world.command(Action.UNLOCK, boot_id="boot-999999")
    world.send(command)
    world.outcomes()
    world.send(world.command(Action.CANCEL, cancels=command.id))
    assert only_outcome(world).result is Result.DONE


@pytest.mark.parametrize(
    ("boot_id", "ttl_ms"), [("boot-999999", 5_000), ("boot-000001", -1)], ids=["of another boot", "too late"]
)
def test_a_stale_cancel_is_refused_like_any_other_command(world: World, boot_id: str, ttl_ms: int) -> None:
    world.send(world.command(Action.CANCEL, cancels="command-999999", boot_id=boot_id, ttl_ms=ttl_ms))
    assert only_outcome(world).result is not Result.DONE


def test_a_jam_is_refused_after_the_full_time_as_moved(world: World) -> None:
    world.lock.jammed = True
    world.send(world.command(Action.UNLOCK))
    world.pass_ms(Limits().max_drive_ms)
    accepted, refused = world.outcomes()
    assert accepted.result is Result.ACCEPTED
    assert (refused.result, refused.reason, refused.moved) == (Result.REFUSED, Reason.JAMMED, True)


def test_a_slow_lock_says_accepted_and_a_fast_one_does_not(world: World) -> None:
    for movement_ms, results in ((249, [Result.DONE]), (251, [Result.ACCEPTED, Result.DONE])):
        world.lock.movement_ms = movement_ms
        world.send(world.command(Action.UNLOCK))
        world.pass_ms(movement_ms)
        assert [outcome.result for outcome in world.outcomes()] == results


def test_a_second_command_during_a_movement_is_refused_busy(world: World) -> None:
    world.lock.movement_ms = 200
    world.send(world.command(Action.UNLOCK))
    world.send(world.command(Action.LOCK))
    assert only_outcome(world).reason is Reason.BUSY


def test_a_pod_whose_door_stands_open_is_not_locked(world: World) -> None:
    world.lock.sense(door_shut=False)
    world.send(world.command(Action.LOCK))
    assert only_outcome(world).reason is Reason.OBSTRUCTED
    assert world.lock.history == []


def test_a_bike_lock_cannot_be_closed_by_its_motor() -> None:
    world = World(actions=BIKE)
    world.link_up()
    world.send(world.command(Action.LOCK))
    assert only_outcome(world).reason is Reason.UNSUPPORTED


def test_a_driver_that_raises_is_refused_as_not_moved(world: World) -> None:
    world.lock.broken = True
    world.send(world.command(Action.UNLOCK))
    outcome = only_outcome(world)
    assert (outcome.reason, outcome.moved) == (Reason.DRIVER_FAILED, False)


def test_a_driver_that_never_ends_is_given_up_and_said_to_have_moved(world: World) -> None:
    world.lock.movement_ms = 1_000
    world.send(world.command(Action.UNLOCK))
    world.lock._drive = None  # the driver has lost it
    world.pass_ms(Limits().max_drive_ms + Limits().drive_overrun_ms)
    outcome = world.outcomes()[-1]
    assert (outcome.reason, outcome.moved) == (Reason.DRIVER_FAILED, True)


def test_a_full_card_refuses_and_drives_nothing(world: World) -> None:
    world.journal.full = True
    world.send(world.command(Action.UNLOCK))
    world.send(world.command(Action.UNLOCK))
    assert world.lock.history == []
    assert world.link.take_new_reports() == []  # what is not on the disk is not said either
    world.journal.full = False
    world.pass_ms(Limits().save_retry_last_ms)
    assert [outcome.reason for outcome in world.outcomes()] == [Reason.JOURNAL_FAILED] * 2
    world.send(world.command(Action.UNLOCK))
    assert only_outcome(world).result is Result.DONE


def test_an_outcome_that_could_not_be_saved_is_saved_and_sent_later(world: World) -> None:
    world.lock.movement_ms = 100
    world.send(world.command(Action.UNLOCK))
    world.journal.full = True
    world.pass_ms(1_000)
    assert world.link.take_new_reports() == []
    world.journal.full = False
    world.pass_ms(Limits().save_retry_last_ms)
    assert only_outcome(world).result is Result.DONE


@pytest.mark.parametrize(("opened", "result", "moved"), [(True, Result.DONE, True), (False, Result.REFUSED, False)])
def test_an_interrupted_command_is_settled_by_the_sensor_at_boot(
    world: World, *, opened: bool, result: Result, moved: bool
) -> None:
    world.lock.movement_ms = 1_000
    command = world.command(Action.UNLOCK)
    world.send(command)
    if opened:
        world.lock._finish_drive(world.lock._drive)  # type: ignore[arg-type]
        world.device._waiting.clear()
    world.lock._drive = None
    world = _restarted_before_hearing(world, command, opened=opened)
    body = world.link.take_reports()[-2].body
    assert isinstance(body, CommandReport)
    assert (body.result, body.reason, body.moved) == (result, Reason.INTERRUPTED, moved)
    assert len(world.lock.history) == 1


def _restarted_before_hearing(world: World, command: Command, *, opened: bool) -> World:
    """Wipe the outcome that the first run may have saved, as if it had died right after the movement."""
    if opened:
        world.journal._db.execute("UPDATE commands SET result = NULL, report_seq = NULL WHERE id = ?", (command.id,))
    world.reboot()
    world.link_up()
    return world


def test_nothing_moves_on_boot_and_the_boot_is_reported_once(world: World) -> None:
    world.restart()
    world.link_up()
    assert [type(report.body) for report in world.link.take_reports()] == [BootReport, BootReport]
    assert world.lock.history == []


def test_a_bolt_that_moved_while_the_agent_was_away_is_evidence(world: World) -> None:
    world.lock.listen(lambda _: None)
    world.lock.force_open()
    world.restart()
    world.link_up()
    bodies = [report.body for report in world.link.take_reports()]
    assert bodies[1:] == [BoltReport(cause=Cause.UNKNOWN), BootReport(agent_version="0.1.0")]


def test_identify_blinks_once_an_id_and_self_test_reads_the_sensors(world: World) -> None:
    identify = world.command(Action.IDENTIFY)
    world.send(identify)
    world.send(identify)
    assert world.lock.identified == 1
    world.outcomes()
    world.send(world.command(Action.SELF_TEST))
    (report,) = world.link.take_reports()
    assert report.status.bolt is Bolt.CLOSED
    assert isinstance(report.body, CommandReport)
    assert report.body.result is Result.DONE


def test_a_restart_is_reported_before_the_agent_ends_and_a_repeat_ends_nothing(world: World) -> None:
    restart = world.command(Action.RESTART)
    world.send(restart)
    assert world.told_to_restart == [1]  # when its outcome was on the disk and on its way
    assert only_outcome(world).result is Result.DONE
    world.restart()
    world.link_up()
    world.link.take_new_reports()
    world.send(restart)
    assert world.told_to_restart == [1]
    assert world.lock.history == []


def test_an_agent_does_not_end_while_the_bolt_moves_or_while_nothing_can_be_written_down() -> None:
    world = World(movement_ms=500)
    world.link_up()
    world.link.take_new_reports()
    world.send(world.command(Action.UNLOCK))
    world.send(world.command(Action.RESTART))
    assert only_outcome(world).reason is Reason.BUSY
    world.pass_ms(1_000)
    world.outcomes()
    world.journal.full = True
    world.send(world.command(Action.RESTART))
    world.pass_ms(1_000)
    assert world.told_to_restart == []
    world.journal.full = False
    world.pass_ms(60_000)
    assert only_outcome(world).result is Result.DONE  # as soon as it could be written down, and not before
    assert len(world.told_to_restart) == 1


def remembered(world: World) -> list[str]:
    return [record.id for record in world.journal.snapshot().commands]


def test_ids_are_forgotten_only_when_they_are_acknowledged_and_stale() -> None:
    world = World(limits=Limits(commands_kept=3))
    world.link_up()
    for _ in range(5):
        world.send(world.command(Action.IDENTIFY, ttl_ms=100))
    world.clock.now_ms += 101
    world.send(world.command(Action.IDENTIFY))
    assert len(remembered(world)) == 6  # stale, and nothing acknowledged
    world.ack(7)
    assert remembered(world) == ["command-000004", "command-000005", "command-000006"]
    assert len(world.journal.tokens(1, 99)) == 3
    for _ in range(3):
        world.send(world.command(Action.IDENTIFY))
    world.ack(10)
    assert remembered(world) == [f"command-{number:06d}" for number in (6, 7, 8, 9)]  # acknowledged, and fresh


def test_a_cancelled_id_is_known_at_once(world: World) -> None:
    command = world.command(Action.UNLOCK)
    world.send(world.command(Action.CANCEL, cancels=command.id))
    world.send(command)
    assert [outcome.reason for outcome in world.outcomes()] == [None, Reason.CANCELLED]


def test_a_disk_slower_than_the_deadline_drives_nothing() -> None:
    agent, save = agent_that_saves_an_intent(ttl_ms=100)
    effects = agent.handle(Saved(save.ticket), 1_101)
    assert not [effect for effect in effects if isinstance(effect, Drive)]


def test_an_intent_that_failed_is_not_saved_later() -> None:
    agent, save = agent_that_saves_an_intent(ttl_ms=5_000)
    agent.handle(SaveFailed(save.ticket, "full"), 1_000)
    (again,) = agent.handle(Tick(), 1_000 + Limits().save_retry_first_ms)
    assert isinstance(again, Save)
    assert again.commands == ()


def agent_that_saves_an_intent(ttl_ms: int) -> tuple[Agent, Save]:
    """Return a bare core at 1,000 ms, and the transaction that it waits for before it drives."""
    identity = Identity(device=DEVICE, boot_id="boot-000001", agent_version="0")
    agent = Agent(identity, COMMAND_KEYS.get, Snapshot(journal_id="journal-000001"))
    (boot,) = agent.handle(Started(Status(bolt=Bolt.CLOSED), POD), 1_000)
    assert isinstance(boot, Save)
    agent.handle(Saved(boot.ticket), 1_000)
    command = Command(
        version=1,
        id="command-000001",
        device=DEVICE,
        action=Action.UNLOCK,
        boot_id="boot-000001",
        expires_uptime_ms=1_000 + ttl_ms,
    )
    token = sign(command, COMMAND_KEY, key_id(COMMAND_KEY.public_key()))
    (save,) = agent.handle(MessageArrived(channel=Channel.COMMAND, payload=token), 1_000)
    assert isinstance(save, Save)
    return agent, save


def test_a_program_frozen_right_before_the_motor_drives_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    command = world.command(Action.UNLOCK, ttl_ms=100)
    # The order is decided, its intent is saved in time, and then the program is frozen for a millisecond too long.
    readings = iter([1_000, 1_100])
    monkeypatch.setattr(world.clock, "uptime_ms", lambda: next(readings, 1_101))
    world.send(command)
    assert only_outcome(world).result is Result.EXPIRED
    assert world.lock.history == []
