"""The units of the broker do what they promise: their own commands, run as systemd would run them."""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from broker.mosquitto.children import spawn
from broker.mosquitto.files import Certificates
from broker.mosquitto.ports import LOOPBACK, free_port
from tests.support.cell import Cell
from tests.support.mosquitto import Client, Refused
from tests.support.proxy import SHIPPED

DEVICE: Final = "7Q2M4KXH9T"
OUT_WITHIN_S: Final = 20.0  # ten are promised, on a machine that is not busy
STOP_S: Final = 20.0
POLL_S, POLLS = 0.05, 400

pytestmark = pytest.mark.server


@dataclass(frozen=True)
class Running:
    """As much of a broker as its clients want to know."""

    host: str
    port: int
    certificates: Certificates


def command(unit: str, key: str, cell: Cell, directory: Path) -> list[str]:
    """Return what a unit runs, in folders of the test."""
    lines = (SHIPPED / "units" / unit).read_text().splitlines()
    [found] = [line.removeprefix(f"{key}=") for line in lines if line.startswith(f"{key}=")]
    ours = {
        "/opt/unlatch/current/bin/python -I": sys.executable,
        "/var/lib/unlatch-broker": str(directory),
        "/var/lib/unlatch/secrets/pki": str(cell.pki),
    }
    for theirs, here in ours.items():
        found = found.replace(theirs, here)
    return shlex.split(found)


def wait_for(port: int) -> None:
    for _ in range(POLLS):
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(POLL_S)
        else:
            return
    pytest.fail("Mosquitto did not come up")


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Cell(tmp_path / "pki")


@pytest.fixture
def broker(cell: Cell, tmp_path: Path) -> Iterator[Running]:
    """Mosquitto, and beside it what follows the service's lists."""
    directory, port = tmp_path / "broker", free_port()
    prepare = command("unlatch-broker.service", "ExecStartPre", cell, directory)
    subprocess.run([*prepare, "--address", LOOPBACK, "--port", str(port)], check=True)
    started = [
        spawn(command(unit, "ExecStart", cell, directory), directory, ["--pdeathsig", "KILL"])
        for unit in ("unlatch-broker.service", "unlatch-broker-watch.service")
    ]
    try:
        wait_for(port)
        yield Running(LOOPBACK, port, cell.certificates)
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(STOP_S)


def test_a_device_that_is_revoked_is_cut_off_by_what_runs_beside_the_broker(broker: Running, cell: Cell) -> None:
    files = cell.client(DEVICE)
    with Client(broker, DEVICE, tls=files.context()) as device:
        cell.revoke(DEVICE, files)
        assert device.gone.wait(OUT_WITHIN_S)
    with pytest.raises(Refused):
        Client(broker, DEVICE, tls=files.context())
