"""A whole fleet on a real broker: it connects, stays within its memory, and does what hands do to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from broker.contract.keys import key_id, new_command_key, new_report_key, private_pem, public_pem
from broker.contract.messages import Position
from broker.mosquitto.passwords import new_password
from broker.mosquitto.supervisor import Mosquitto
from simulators import folders, hands
from simulators.processes import Child, program

pytestmark = pytest.mark.server

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
FEW, MANY = 2, 200
GIB = 1 << 30
PATIENCE_S = 60.0


def device_id(number: int) -> str:
    return "F1EET" + "".join(CROCKFORD[number >> 5 * place & 31] for place in reversed(range(5)))


def make(root: Path, count: int) -> dict[str, str]:
    """Make devices; return their passwords by id."""
    key = new_command_key().public_key()
    passwords = {}
    for number in range(count):
        device = folders.Device(
            id=device_id(number),
            kind="pod" if number % 5 == 0 else "bike",
            number=number + 1,
            password=new_password(),
            label="LABEL",
            position=Position(lat=48.0, lon=8.0),
            command_keys={key_id(key): public_pem(key)},
        )
        folders.write_device(root, device, private_pem(new_report_key()))
        passwords[device.id] = device.password
    return passwords


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + PATIENCE_S
    while not condition():
        assert time.perf_counter() < deadline
        time.sleep(0.02)


def connected(root: Path) -> int:
    try:
        return int(hands.ask(root, "state")["connected"])
    except OSError:
        return 0


@contextmanager
def fleet(root: Path, broker: Mosquitto, count: int) -> Iterator[Child]:
    broker.add_users(make(root, count))
    command = [program("unlatch-sim"), "fleet", str(root), "--broker", f"{broker.host}:{broker.port}"]
    child = Child("fleet", command, root / "fleet.log")
    child.start()
    try:
        wait_for(lambda: connected(root) == count or not child.running)
        assert child.running, child.log_tail()
        yield child
    finally:
        child.stop()


def memory_of(root: Path, broker: Mosquitto, count: int) -> int:
    root.mkdir()
    with fleet(root, broker, count) as child:
        return int(psutil.Process(child.pid).memory_info().rss)


def test_a_thousand_devices_fit_into_a_gibibyte(own_mosquitto: Mosquitto, tmp_path: Path) -> None:
    few = memory_of(tmp_path / "few", own_mosquitto, FEW)
    many = memory_of(tmp_path / "many", own_mosquitto, MANY)
    assert few + (many - few) * 1_000 / (MANY - FEW) < GIB


def test_a_device_can_go_offline_come_back_and_reboot(own_mosquitto: Mosquitto, tmp_path: Path) -> None:
    with fleet(tmp_path, own_mosquitto, FEW):
        device = device_id(1)
        hands.ask(tmp_path, "go_offline", device)
        wait_for(lambda: connected(tmp_path) == FEW - 1)
        hands.ask(tmp_path, "go_online", device)
        wait_for(lambda: connected(tmp_path) == FEW)
        boot = hands.ask(tmp_path, "state", device)["boot_id"]
        hands.ask(tmp_path, "reboot", device)
        wait_for(lambda: bool(hands.ask(tmp_path, "state", device)["connected"]))
        assert hands.ask(tmp_path, "state", device)["boot_id"] != boot


def test_a_fleet_finds_back_to_a_broker_that_was_killed(own_mosquitto: Mosquitto, tmp_path: Path) -> None:
    with fleet(tmp_path, own_mosquitto, FEW):
        own_mosquitto.kill()
        wait_for(lambda: connected(tmp_path) == 0)
        own_mosquitto.start()
        wait_for(lambda: connected(tmp_path) == FEW)
