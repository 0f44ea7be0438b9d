"""A full card: no new ride begins and the rider is told why, the one that runs ends, and all becomes well by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.contract.codes import Action, Bolt, Reason, Result
from broker.contract.messages import BoltReport, CommandReport
from device_agent.journal import SqliteJournal
from device_agent.room import PIECE_BYTES, ROOM_BYTES, Room
from simulators.card import Card
from tests.support.agent_world import ManualClock, World


def outcome(world: World, action: Action) -> tuple[Result, Reason | None]:
    world.send(world.command(action))
    world.pass_ms(1_000)
    (told,) = world.outcomes()
    return told.result, told.reason


def room_of(card: Card) -> int:
    return (card.place / "journal.room").stat().st_size


@pytest.mark.server  # mounts
def test_a_full_card_refuses_new_rides_lets_the_one_that_runs_end_and_recovers_by_itself(card: Card) -> None:
    world = World(card.place / "journal", as_on_a_device=True)
    world.link_up()
    assert outcome(world, Action.UNLOCK) == (Result.DONE, None)
    card.fill()

    world.lock.close_by_hand()  # the ride ends, and others end, until pieces of the room are gone
    world.pass_ms(1_000)
    assert [type(report.body) for report in world.link.take_new_reports()] == [BoltReport]
    while room_of(card) > ROOM_BYTES - 4 * PIECE_BYTES:
        assert outcome(world, Action.LOCK) == (Result.DONE, None)  # a pod's Finish
    for _ in range(3):
        assert outcome(world, Action.UNLOCK) == (Result.REFUSED, Reason.JOURNAL_FAILED)
    assert world.lock.status().bolt is Bolt.CLOSED

    world.journal.close()
    orders = world.ids
    world = World(card.place / "journal", as_on_a_device=True, clock=ManualClock("boot-000002"))
    world.ids = orders
    world.link_up()  # it boots on a full card
    world.link.take_new_reports()
    assert outcome(world, Action.UNLOCK) == (Result.REFUSED, Reason.JOURNAL_FAILED)
    assert outcome(world, Action.LOCK) == (Result.DONE, None)

    card.clear()
    assert outcome(world, Action.UNLOCK) == (Result.DONE, None)
    assert room_of(card) == ROOM_BYTES
    numbers = [row[0] for row in world.journal._db.execute("SELECT seq FROM reports ORDER BY seq")]
    assert numbers == list(range(1, len(numbers) + 1))
    world.journal.close()


@pytest.mark.server  # mounts
def test_a_card_on_which_nothing_at_all_can_be_written_is_told_once_it_can(card: Card) -> None:
    world = World(card.place / "journal", as_on_a_device=True)
    world.link_up()
    world.link.take_new_reports()
    world.journal._room = None
    card.fill()
    while world.journal.snapshot().last_seq == world.device.agent._reporter.outbox.last_seq:
        world.send(world.command(Action.LOCK))
    world.lock.force_open()
    world.pass_ms(5_000)
    told = world.device.agent._reporter.outbox.last_seq
    assert world.journal.snapshot().last_seq < told
    card.clear()
    world.pass_ms(30_000)  # it tries again by itself
    world.pass_ms(60_000)
    assert world.journal.snapshot().last_seq >= told
    reports = world.link.take_new_reports()
    assert any(isinstance(report.body, BoltReport) and report.status.bolt is Bolt.OPEN for report in reports)
    assert any(isinstance(report.body, CommandReport) for report in reports)
    world.journal.close()


def test_room_is_taken_once_given_up_by_the_piece_and_taken_again(tmp_path: Path) -> None:
    file = tmp_path / "room"
    room = Room(file)
    assert file.stat().st_blocks * 512 >= ROOM_BYTES
    pieces = ROOM_BYTES // PIECE_BYTES
    assert [room.give() for _ in range(pieces + 1)] == [True] * pieces + [False]
    assert room.take()
    assert file.stat().st_size == ROOM_BYTES


def test_room_that_cannot_be_had_stands_in_no_bodys_way(tmp_path: Path) -> None:
    room = Room(tmp_path / "nowhere" / "room")
    assert (room.take(), room.give()) == (False, False)
    journal = SqliteJournal(tmp_path / "journal", own_room=True)
    journal.close()
