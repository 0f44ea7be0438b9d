"""Command keys change by signed configurations, and by nothing else (broker/README.md, "Configuration")."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.contract.codes import Action, Result
from broker.contract.envelope import Rejection
from broker.contract.jws import PrivateKey
from broker.contract.keys import key_id, new_command_key, new_report_key, public_pem
from broker.contract.messages import Config
from device_agent.core.records import Snapshot
from device_agent.core.trust import Trust
from tests.support.agent_world import COMMAND_KEY, COMMAND_KEYS, DEVICE, World

NEXT_KEY, THIRD_KEY = new_command_key(), new_command_key()
STRANGER = new_command_key()


def listing(revision: int, *keys: PrivateKey, **changes: object) -> Config:
    pems = {key_id(key.public_key()): public_pem(key.public_key()) for key in keys}
    fields = {"version": 1, "device": DEVICE, "revision": revision, "command_keys": pems}
    return Config(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture
def world() -> World:
    made = World()
    made.link_up()
    made.link.take_reports()
    return made


def obeys(world: World, key: PrivateKey) -> bool:
    """Whether an unlock that ``key`` has signed moves the lock."""
    before = len(world.lock.history)
    world.send(world.command(Action.UNLOCK), key=key)
    return len(world.lock.history) > before


def test_old_and_new_key_count_while_both_are_listed_and_then_only_what_is(world: World) -> None:
    world.send(listing(1, COMMAND_KEY, NEXT_KEY))
    assert obeys(world, COMMAND_KEY)
    assert obeys(world, NEXT_KEY)
    world.send(listing(2, NEXT_KEY), key=NEXT_KEY)
    assert not obeys(world, COMMAND_KEY)
    assert obeys(world, NEXT_KEY)
    assert world.device.agent.rejections == {Rejection.UNKNOWN_KEY: 1}


def test_a_lost_key_is_removed_by_another_listed_key_and_cannot_come_back(world: World) -> None:
    world.send(listing(1, COMMAND_KEY, NEXT_KEY))
    world.send(listing(2, NEXT_KEY), key=NEXT_KEY)
    world.send(listing(3, COMMAND_KEY), key=COMMAND_KEY)
    assert world.device.agent.config_revision == 2
    assert not obeys(world, COMMAND_KEY)


def test_a_command_on_its_way_is_refused_once_its_key_is_not_listed(world: World) -> None:
    on_its_way = world.command(Action.UNLOCK)
    world.send(listing(1, NEXT_KEY))
    world.send(on_its_way, key=COMMAND_KEY)
    assert not world.lock.history
    assert world.device.agent.rejections[Rejection.UNKNOWN_KEY] == 1


def test_acknowledgements_follow_the_same_keys(world: World) -> None:
    world.send(listing(1, NEXT_KEY))
    depth = world.device.agent.outbox_depth
    assert depth > 0
    world.ack(depth)
    assert world.device.agent.outbox_depth == depth


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (listing(2, NEXT_KEY), Rejection.OLD_REVISION),
        (listing(1, NEXT_KEY), Rejection.OLD_REVISION),
        (listing(3, NEXT_KEY, device="ZZZZZZZZZZ"), Rejection.WRONG_DEVICE),
        (listing(3, NEXT_KEY, version=2), Rejection.FUTURE_VERSION),
        (listing(3), Rejection.MALFORMED),
        (listing(3, *(new_command_key() for _ in range(5))), Rejection.MALFORMED),
        (listing(3, NEXT_KEY, command_keys={"A": public_pem(NEXT_KEY.public_key())}), Rejection.MALFORMED),
        (listing(3, NEXT_KEY, command_keys={key_id(NEXT_KEY.public_key()): "no PEM"}), Rejection.MALFORMED),
        (listing(3, new_report_key()), Rejection.MALFORMED),
    ],
)
def test_what_is_no_newer_whole_configuration_for_this_device_changes_nothing(
    world: World, config: Config, reason: Rejection
) -> None:
    world.send(listing(2, COMMAND_KEY))
    world.send(config)
    assert world.device.agent.rejections == {reason: 1}
    assert world.device.agent.config_revision == 2
    assert obeys(world, COMMAND_KEY)


@pytest.mark.parametrize("key", [STRANGER, new_report_key()])
def test_a_stranger_configures_nothing(world: World, key: PrivateKey) -> None:
    world.send(listing(1, STRANGER), key=key)
    assert world.device.agent.rejections == {Rejection.UNKNOWN_KEY: 1}
    assert obeys(world, COMMAND_KEY)


def test_one_good_key_does_not_carry_a_bad_one(world: World) -> None:
    good = listing(1, NEXT_KEY).command_keys
    world.send(listing(1, command_keys=good | {"A": "no PEM"}))
    assert world.device.agent.config_revision == 0
    assert not obeys(world, NEXT_KEY)


def test_a_retained_configuration_counts_and_is_not_counted_as_old_when_it_comes_again(world: World) -> None:
    config = listing(1, COMMAND_KEY, NEXT_KEY)
    world.send(config, retained=True)
    assert obeys(world, NEXT_KEY)
    world.send(config, retained=True)
    assert not world.device.agent.rejections
    world.send(config)
    assert world.device.agent.rejections == {Rejection.OLD_REVISION: 1}


def test_it_counts_only_once_it_is_on_the_disk(world: World) -> None:
    world.journal.full = True
    world.send(listing(1, NEXT_KEY))
    assert world.device.agent.config_revision == 0
    world.send(listing(2, STRANGER), key=NEXT_KEY)
    assert world.device.agent.rejections[Rejection.UNKNOWN_KEY] == 1
    world.journal.full = False
    world.pass_ms(2_000)
    assert world.device.agent.config_revision == 1
    assert obeys(world, NEXT_KEY)


def test_a_newer_one_is_taken_while_the_last_waits_for_the_disk(world: World) -> None:
    world.journal.full = True
    world.send(listing(1, COMMAND_KEY, NEXT_KEY))
    world.send(listing(3, COMMAND_KEY, THIRD_KEY))
    world.send(listing(2, COMMAND_KEY, NEXT_KEY))
    assert world.device.agent.rejections[Rejection.OLD_REVISION] == 1
    world.journal.full = False
    world.pass_ms(2_000)
    assert world.device.agent.config_revision == 3
    assert obeys(world, THIRD_KEY)
    assert not obeys(world, NEXT_KEY)


def test_it_is_told_at_once_and_with_every_heartbeat(world: World) -> None:
    assert [beat.config_revision for beat in world.link.take_heartbeats()] == [0]
    world.send(listing(7, COMMAND_KEY))
    assert [beat.config_revision for beat in world.link.take_heartbeats()] == [7]
    world.pass_ms(30_000)
    assert [beat.config_revision for beat in world.link.take_heartbeats()] == [7]


def test_without_a_link_the_next_connection_tells_it() -> None:
    silent = World()
    silent.send(listing(7, COMMAND_KEY))
    assert silent.link.take_heartbeats() == []
    silent.link_up()
    assert [beat.config_revision for beat in silent.link.take_heartbeats()] == [7]


@pytest.mark.parametrize("again", ["restart", "reboot"])
def test_it_outlives_the_program_and_the_boot(tmp_path: Path, again: str) -> None:
    world = World(tmp_path / "journal")
    world.send(listing(4, NEXT_KEY))
    getattr(world, again)()
    assert world.device.agent.config_revision == 4
    assert not obeys(world, COMMAND_KEY)
    assert obeys(world, NEXT_KEY)
    world.send(listing(4, COMMAND_KEY), key=NEXT_KEY)
    assert not obeys(world, COMMAND_KEY)


def test_a_device_that_was_set_up_anew_begins_with_what_it_was_given() -> None:
    journal = World()
    journal.send(listing(4, NEXT_KEY))
    saved = journal.journal.snapshot()
    assert saved.configuration is not None
    assert Trust(COMMAND_KEYS.get, 4, saved).find(key_id(NEXT_KEY.public_key()))
    anew = Trust(COMMAND_KEYS.get, 5, saved)
    assert anew.revision == 5
    assert anew.find(key_id(COMMAND_KEY.public_key()))
    assert not anew.find(key_id(NEXT_KEY.public_key()))
    assert Trust(COMMAND_KEYS.get, 0, Snapshot(journal_id="j")).revision == 0


def test_a_configuration_moves_nothing_and_reports_nothing(world: World) -> None:
    world.send(listing(1, NEXT_KEY))
    assert not world.lock.history
    assert world.link.take_reports() == []
    world.send(world.command(Action.SELF_TEST), key=NEXT_KEY)
    assert [report.result for report in world.outcomes()] == [Result.DONE]
