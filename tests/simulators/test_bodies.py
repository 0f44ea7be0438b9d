"""One simulated device without a broker: the real agent, its journal, and what people do to its body."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.contract.keys import key_id, new_command_key, new_report_key, private_pem, public_pem
from broker.contract.messages import Position
from device_agent.drivers.memory import MovedBy
from simulators import folders
from simulators.bodies import Making, SimulatedDevice
from simulators.errors import DeedError, FolderError
from simulators.links import Broker

HOME = Position(lat=48.0, lon=8.0)
NOWHERE = Broker("127.0.0.1", 1, storm=None)  # type: ignore[arg-type]  # never connected to
KEY = new_command_key().public_key()


def make(root: Path, kind: str) -> Path:
    device = folders.Device(
        id="AAAAAAAAAA",
        kind=kind,
        number=7,
        label="LABEL",
        position=HOME,
        command_keys={key_id(KEY): public_pem(KEY)},
    )
    return folders.write_device(root, device, private_pem(new_report_key()))


@pytest.fixture
async def bike(tmp_path: Path) -> AsyncIterator[SimulatedDevice]:
    device = SimulatedDevice(make(tmp_path, "bike"), NOWHERE, Making())
    yield device
    device.close()


@pytest.fixture
async def pod(tmp_path: Path) -> AsyncIterator[SimulatedDevice]:
    device = SimulatedDevice(make(tmp_path, "pod"), NOWHERE, Making())
    yield device
    device.close()


async def test_a_device_boots_shut_where_it_was_put_up_and_moves_nothing(bike: SimulatedDevice, tmp_path: Path) -> None:
    assert bike.state() | {"uptime_ms": 0, "boot_id": ""} == {
        "bolt": "closed",
        "connected": False,
        "waiting_reports": 1,
        "movements": 0,
        "boot_id": "",
        "uptime_ms": 0,
    }
    assert bike.lock.status().position == HOME
    assert list(folders.read_movements(tmp_path / "AAAAAAAAAA")) == []


async def test_what_the_lock_does_is_written_down(bike: SimulatedDevice, tmp_path: Path) -> None:
    bike.do("force_open", {})
    bike.do("lock_by_hand", {})
    causes = [movement.cause for movement in folders.read_movements(tmp_path / "AAAAAAAAAA")]
    assert causes == [MovedBy.FORCED, MovedBy.HAND]


async def test_a_bike_can_be_moved_drained_and_broken(bike: SimulatedDevice) -> None:
    bike.do("move", {"lat": 1.5, "lon": 2.5})
    bike.do("drain_battery", {"percent": 9})
    bike.do("break", {"jammed": True})
    status = bike.lock.status()
    assert (status.position, status.battery_percent) == (Position(lat=1.5, lon=2.5), 9)
    with pytest.raises(DeedError, match="jammed"):
        bike.do("lock_by_hand", {})


async def test_an_unknown_deed_names_those_that_are_known(bike: SimulatedDevice) -> None:
    with pytest.raises(DeedError, match="no such deed: 'paint'; there are break, drain_battery,"):
        bike.do("paint", {})


async def test_a_reboot_keeps_the_bolts_place_and_the_journal_and_loses_the_boot_id(bike: SimulatedDevice) -> None:
    bike.do("force_open", {})
    bike.do("move", {"lat": 1.5, "lon": 2.5})
    before = bike.state()
    bike.do("reboot", {})
    after = bike.state()
    assert after["bolt"] == "open"
    assert bike.lock.status().position == Position(lat=1.5, lon=2.5)
    assert after["boot_id"] != before["boot_id"]
    assert after["waiting_reports"] > before["waiting_reports"]


async def test_a_locked_pod_lets_nobody_in(pod: SimulatedDevice) -> None:
    with pytest.raises(DeedError, match="the pod is locked"):
        pod.do("enter", {})


async def test_a_pod_always_opens_from_the_inside(pod: SimulatedDevice) -> None:
    pod.do("force_open", {})
    pod.do("enter", {})
    assert pod.lock.status().occupied is True
    pod.do("lock_by_hand", {})
    pod.do("leave", {})
    status = pod.lock.status()
    assert (status.bolt, status.occupied, status.door_shut) == ("open", False, True)


def test_a_folder_that_is_no_device_is_named(tmp_path: Path) -> None:
    (tmp_path / folders.DEVICE_FILE).write_text('{"id": 1}')
    with pytest.raises(FolderError, match=r"device\.json is not a device"):
        folders.read_device(tmp_path)


def test_keys_and_passwords_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = make(tmp_path, "bike")
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / folders.KEY_FILE).stat().st_mode & 0o077 == 0
