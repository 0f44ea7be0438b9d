"""A configuration with which the agent does not come back is given up; one that it obeys is not, whoever is silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.contract.codes import Result
from broker.contract.envelope import Rejection
from broker.contract.keys import key_id, new_command_key, public_pem
from broker.contract.messages import Config
from device_agent.core.limits import Limits
from device_agent.core.records import Configuration
from device_agent.journal import SqliteJournal
from device_agent.ports import Transaction
from device_agent.trial import STARTS_MAX
from tests.support.agent_program import STOP_S, Program
from tests.support.agent_service import HeardService
from tests.support.agent_world import COMMAND_KEY, DEVICE, World

NEXT_KEY = new_command_key()
FORMER, BROKEN = Configuration(1, {"one": "pem"}), Configuration(2, {"two": "no key at all"})


def on_trial(path: Path) -> SqliteJournal:
    journal = SqliteJournal(path)
    journal.save(Transaction(configuration=FORMER))
    journal.save(Transaction(back_under_configuration=True))
    journal.save(Transaction(configuration=BROKEN))
    assert journal.snapshot().on_trial
    return journal


def listing(revision: int) -> Config:
    keys = {key_id(NEXT_KEY.public_key()): public_pem(NEXT_KEY.public_key())}
    return Config(version=1, device=DEVICE, revision=revision, command_keys=keys)


def test_after_too_many_deaths_the_former_one_counts_and_the_other_is_refused(tmp_path: Path) -> None:
    journal = on_trial(tmp_path / "journal")
    assert [journal.begins_start("boot-1") for _ in range(STARTS_MAX + 2)] == [None] * STARTS_MAX + [2, None]
    found = journal.snapshot()
    assert (found.configuration, found.on_trial, found.refused_revision) == (FORMER, False, 2)
    journal.save(Transaction(configuration=Configuration(3, {"three": "pem"})))  # which came after it
    found = journal.snapshot()
    assert (found.on_trial, found.refused_revision) == (True, 0)


def test_what_the_device_was_set_up_with_counts_where_nothing_was_before(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal")
    journal.save(Transaction(configuration=BROKEN))
    assert [journal.begins_start("boot-1") for _ in range(STARTS_MAX + 1)][-1] == 2
    assert journal.snapshot().configuration is None


@pytest.mark.parametrize("what", ["another boot", "told to end", "came back"])
def test_only_deaths_within_one_boot_before_it_came_back_count(tmp_path: Path, what: str) -> None:
    journal = on_trial(tmp_path / "journal")
    for number in range(3 * STARTS_MAX):
        if what == "told to end":
            journal.ends_well()
        if what == "came back":
            journal.save(Transaction(back_under_configuration=True))
        assert journal.begins_start(f"boot-{number if what == 'another boot' else 1}") is None
    assert journal.snapshot().configuration == BROKEN


def test_it_passes_as_soon_as_the_service_is_heard_under_it() -> None:
    world = World()
    world.link_up()
    world.send(listing(1))
    assert world.journal.snapshot().on_trial
    world.ack(1)  # by a key that does not count any more
    world.pass_ms(Limits().save_delay_ms)
    assert world.device.agent.rejections == {Rejection.UNKNOWN_KEY: 1}
    assert world.journal.snapshot().on_trial
    world.key = NEXT_KEY
    world.ack(1)
    world.pass_ms(Limits().save_delay_ms)
    assert not world.journal.snapshot().on_trial
    assert world.device.agent.config_revision == 1


def test_one_that_was_refused_is_not_taken_again_and_a_newer_one_is() -> None:
    world = World()
    world.send(listing(1))
    for _ in range(STARTS_MAX + 1):
        world.journal.begins_start("boot-000001")
    world.restart()
    world.link_up()
    world.send(listing(1), retained=True)
    assert world.device.agent.config_revision == 0
    assert world.device.agent.rejections == {Rejection.OLD_REVISION: 1}
    world.send(listing(2), key=COMMAND_KEY)
    assert world.device.agent.config_revision == 2


@pytest.mark.server
def test_an_agent_that_dies_of_its_configuration_comes_back_without_it(
    program: Program, service: HeardService, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    journal = SqliteJournal(tmp_path / "state" / "journal.sqlite")
    journal.save(Transaction(configuration=BROKEN))
    journal.close()
    for _ in range(STARTS_MAX):
        program.start()
        assert program.process is not None
        assert program.process.wait(STOP_S) == 1
    program.start()
    assert service.heartbeat().config_revision == 0
    assert "configuration 0, 2 was given up" in program.ask("journal").stdout
    service.send(service.command("command-000001"))
    assert service.outcome("command-000001").result is Result.DONE
