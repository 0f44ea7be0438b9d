"""The self-test with a technician: sensors and eyes have to agree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from broker.contract.codes import Bolt
from broker.contract.messages import Status
from device_agent import watched
from device_agent.cli import main
from device_agent.clock import SystemClock
from device_agent.drivers.memory import BIKE, POD, MemoryLock
from device_agent.errors import DriverError
from device_agent.journal import SqliteJournal
from device_agent.settings import EXAMPLE, LoadedSettings, load
from device_agent.watched import Technician, watch

ALL_WELL: Final = {"closed": True, "opens": True, "closes": True, "shows itself": True}


@pytest.fixture
def settings(tmp_path: Path) -> LoadedSettings:
    file = tmp_path / "device.toml"
    file.write_text(EXAMPLE.replace("/var/lib/unlatch-agent", "state").replace("broker.example.org", "localhost"))
    return load(file)


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryLock]:
    made = MemoryLock(SystemClock(), POD)
    monkeypatch.setattr(watched, "make_driver", lambda _settings, _clock: made)
    yield made
    made.close()


class Somebody(Technician):
    """Says yes to all questions but those that are named, and does what they are told to."""

    def __init__(self, lock: MemoryLock, *noes: str) -> None:
        self.lines: list[str] = []
        self.lock = lock
        super().__init__(lambda question: "n" if any(no in question for no in noes) else "y", self.hears)

    def hears(self, line: str) -> None:
        self.lines.append(line)
        if "by hand" in line:
            self.lock.close_by_hand()


def found(settings: LoadedSettings, technician: Technician) -> dict[str, bool]:
    return {finding.name: finding.good for finding in watch(settings, technician)}


def test_a_pod_opens_closes_and_blinks_before_somebodys_eyes(settings: LoadedSettings, lock: MemoryLock) -> None:
    assert found(settings, Somebody(lock)) == ALL_WELL
    assert [(movement.what, movement.bolt) for movement in lock.history] == [("unlock", "open"), ("lock", "closed")]


def test_a_bike_is_closed_by_hand_before_and_after(settings: LoadedSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = MemoryLock(SystemClock(), BIKE)
    monkeypatch.setattr(watched, "make_driver", lambda _settings, _clock: lock)
    lock.force_open()
    bystander = Somebody(lock)
    assert found(settings, bystander) == ALL_WELL
    assert sum("by hand" in line for line in bystander.lines) == 2


@pytest.mark.parametrize(("no", "name"), [("closed?", "closed"), ("open?", "opens"), ("Did it?", "shows itself")])
def test_what_eyes_do_not_see_has_failed_whatever_the_sensors_say(
    settings: LoadedSettings, lock: MemoryLock, no: str, name: str
) -> None:
    assert found(settings, Somebody(lock, no)) == {**ALL_WELL, name: False}


def test_a_switch_that_is_wired_the_wrong_way_round_is_named(
    settings: LoadedSettings, lock: MemoryLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched, "HAND_S", 0.0)
    monkeypatch.setattr(lock, "status", lambda: Status(bolt=Bolt.UNKNOWN))
    opens = watch(settings, Somebody(lock))[1]
    assert (opens.good, "active_low" in opens.detail) == (False, True)


def test_a_driver_that_refuses_for_good_is_quoted(
    settings: LoadedSettings, lock: MemoryLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drive(*_arguments: object) -> None:
        msg = "the coil is hot"
        raise DriverError(msg)

    monkeypatch.setattr(watched, "COOL_S", 0.0)
    monkeypatch.setattr(lock, "drive", drive)
    findings = {finding.name: finding for finding in watch(settings, Somebody(lock))}
    assert findings["unlocks"].detail == "the coil is hot"
    assert lock.history == []


def test_while_the_agent_runs_the_lock_is_its_own(settings: LoadedSettings, lock: MemoryLock) -> None:
    settings.journal_file.parent.mkdir()
    with closing(SqliteJournal(settings.journal_file)), pytest.raises(DriverError, match="systemctl stop"):
        watch(settings, Somebody(lock))
    assert lock.history == []


@pytest.mark.server  # the self-test asks for the broker's address
def test_what_has_failed_already_keeps_the_lock_still(
    settings: LoadedSettings, lock: MemoryLock, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["selftest", "--watch", "--config", str(settings.file)]) == 1  # it has no keys
    assert "FAIL  report key" in capsys.readouterr().out
    assert lock.history == []
