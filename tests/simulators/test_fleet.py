"""A whole fleet on a real broker: it connects, stays within its memory, and does what hands do to it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from broker.contract.keys import key_id, new_command_key, new_report_key, private_pem, public_pem
from broker.contract.messages import Position
from broker.mosquitto.supervisor import Mosquitto
from simulators import folders, hands
from simulators.links import CA_FILE, CERT_FILE, TLS_KEY_FILE
from simulators.processes import Child, program
from tests.support.cell import Cell, ClientFiles

pytestmark = pytest.mark.server

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
FEW, MANY = 2, 200
GIB = 1 << 30
MINUTE_S = 60.0
PATIENCE_S = 60.0


def device_id(number: int) -> str:
    return "F1EET" + "".join(CROCKFORD[number >> 5 * place & 31] for place in reversed(range(5)))


def make(root: Path, count: int, cell: Cell) -> None:
    """Make devices with certificates."""
    key = new_command_key().public_key()
    for number in range(count):
        device = folders.Device(
            id=device_id(number),
            kind="pod" if number % 5 == 0 else "bike",
            number=number + 1,
            label="LABEL",
            position=Position(lat=48.0, lon=8.0),
            command_keys={key_id(key): public_pem(key)},
        )
        folder = folders.write_device(root, device, private_pem(new_report_key()))
        certify(folder, cell)


def certify(folder: Path, cell: Cell) -> None:
    """Give a device a new certificate."""
    files = cell.client(folder.name)
    shutil.copy(files.ca, folder / CA_FILE)
    shutil.copy(files.key, folder / TLS_KEY_FILE)
    shutil.copy(files.certificate, folder / CERT_FILE)


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


def cell_of(broker: Mosquitto) -> Cell:
    return Cell(broker.certificates.ca.parent)


@contextmanager
def fleet(root: Path, broker: Mosquitto, count: int) -> Iterator[None]:
    make(root, count, cell_of(broker))
    with running(root, broker, count):
        yield


@contextmanager
def running(root: Path, broker: Mosquitto, count: int) -> Iterator[Child]:
    command = [program("unlatch-sim"), "fleet", str(root), "--broker", f"{broker.host}:{broker.port}"]
    child = Child("fleet", command, root / "fleet.log")
    child.start()
    try:
        wait_for(lambda: connected(root) == count or not child.running)
        assert child.running, child.log_tail()
        yield child
    finally:
        child.stop()


def cost_of(root: Path, broker: Mosquitto, count: int) -> tuple[int, float]:
    """Return the bytes that a fleet takes, and the seconds until all its devices are connected."""
    root.mkdir()
    make(root, count, cell_of(broker))
    began = time.perf_counter()
    with running(root, broker, count) as child:
        return int(psutil.Process(child.pid).memory_info().rss), time.perf_counter() - began


def test_a_thousand_devices_fit_into_a_gibibyte_and_are_connected_within_a_minute(
    own_mosquitto: Mosquitto, tmp_path: Path
) -> None:
    few_bytes, few_s = cost_of(tmp_path / "few", own_mosquitto, FEW)
    many_bytes, many_s = cost_of(tmp_path / "many", own_mosquitto, MANY)
    assert few_bytes + (many_bytes - few_bytes) * 1_000 / (MANY - FEW) < GIB
    assert few_s + (many_s - few_s) * 1_000 / (MANY - FEW) < MINUTE_S


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


def test_a_device_uses_a_renewed_certificate_for_its_next_connection(own_mosquitto: Mosquitto, tmp_path: Path) -> None:
    with fleet(tmp_path, own_mosquitto, FEW):
        cell, device = cell_of(own_mosquitto), device_id(1)
        folder = tmp_path / device
        hands.ask(tmp_path, "go_offline", device)
        wait_for(lambda: connected(tmp_path) == FEW - 1)
        cell.revoke(device, ClientFiles(folder / CA_FILE, folder / CERT_FILE, folder / TLS_KEY_FILE), by_name=False)
        own_mosquitto.reload()
        certify(folder, cell)
        hands.ask(tmp_path, "go_online", device)
        wait_for(lambda: connected(tmp_path) == FEW)


def test_a_fleet_finds_back_to_a_broker_that_was_killed(own_mosquitto: Mosquitto, tmp_path: Path) -> None:
    with fleet(tmp_path, own_mosquitto, FEW):
        own_mosquitto.kill()
        wait_for(lambda: connected(tmp_path) == 0)
        own_mosquitto.start()
        wait_for(lambda: connected(tmp_path) == FEW)
