from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from broker.contract.topics import SERVICE_USER
from broker.mosquitto.errors import MosquittoError
from broker.mosquitto.ports import free_port
from broker.mosquitto.supervisor import Mosquitto
from tests.support.cell import Cell
from tests.support.mosquitto import TIMEOUT_S, Client, Heard

pytestmark = pytest.mark.server

DEVICE = "0123456789"
PRESENCE = f"u1/{DEVICE}/up"


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Cell(tmp_path / "pki")


def service(broker: Mosquitto) -> Client:
    return Client(broker, SERVICE_USER)


def device(broker: Mosquitto) -> Client:
    return Client(broker, DEVICE)


def has_ended(pid: int) -> bool:
    """Whether that process ends in time; it is not our child, so its parent has no part in this."""
    pause = threading.Event()
    for _ in range(int(TIMEOUT_S / 0.05)):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        pause.wait(0.05)
    return False


def wait_for_text(path: Path, text: bytes) -> None:
    pause = threading.Event()
    for _ in range(int(TIMEOUT_S / 0.05)):
        if path.exists() and text in path.read_bytes():
            return
        pause.wait(0.05)
    pytest.fail(f"{text!r} never came to stand in {path.name}")


def test_runs_between_enter_and_exit_and_leaves_no_directory(cell: Cell) -> None:
    with Mosquitto(cell.certificates) as broker:
        pid, directory = broker.pid, broker.directory
        assert Path(f"/proc/{pid}").exists()
        assert directory.stat().st_mode & 0o777 == 0o700
    assert has_ended(pid)
    assert not broker.running
    assert not directory.exists()


def test_a_restart_keeps_port_and_retained_presence(own_mosquitto: Mosquitto) -> None:
    port = own_mosquitto.port
    with device(own_mosquitto) as theirs:
        theirs.publish(PRESENCE, b"here", retain=True)
    own_mosquitto.stop()
    own_mosquitto.start()
    assert own_mosquitto.port == port
    with service(own_mosquitto) as ours:
        ours.subscribe("u1/+/up")
        assert ours.hear() == Heard(PRESENCE, b"here", retained=True)


def test_a_kill_loses_nothing_that_was_saved_and_autosave_comes_by_itself(own_mosquitto: Mosquitto) -> None:
    with device(own_mosquitto) as theirs:
        theirs.publish(PRESENCE, b"still here", retain=True)
        wait_for_text(own_mosquitto.directory / "mosquitto.db", b"still here")
    own_mosquitto.kill()
    own_mosquitto.start()
    with service(own_mosquitto) as ours:
        ours.subscribe("u1/+/up")
        assert ours.hear() == Heard(PRESENCE, b"still here", retained=True)


def test_a_frozen_broker_is_stopped_in_order(own_mosquitto: Mosquitto) -> None:
    with device(own_mosquitto) as theirs:
        theirs.publish(PRESENCE, b"not saved yet", retain=True)
        os.kill(own_mosquitto.pid, signal.SIGSTOP)
    own_mosquitto.stop()
    assert b"not saved yet" in (own_mosquitto.directory / "mosquitto.db").read_bytes()


def test_a_broker_that_crashed_can_be_started_again(own_mosquitto: Mosquitto) -> None:
    os.kill(own_mosquitto.pid, signal.SIGKILL)
    pause = threading.Event()
    while own_mosquitto.running:
        pause.wait(0.01)
    own_mosquitto.start()
    assert own_mosquitto.running


def test_it_is_not_started_twice(own_mosquitto: Mosquitto) -> None:
    with pytest.raises(MosquittoError, match="runs already"):
        own_mosquitto.start()


def test_a_port_that_is_taken_is_said_to_be(own_mosquitto: Mosquitto) -> None:
    with pytest.raises(MosquittoError, match="Address already in use"):
        Mosquitto(own_mosquitto.certificates, port=own_mosquitto.port).start()


def test_another_free_port_is_tried_when_the_first_was_taken_meanwhile(
    own_mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = iter([own_mosquitto.port, free_port()])
    monkeypatch.setattr("broker.mosquitto.supervisor.free_port", lambda: next(ports))
    with Mosquitto(own_mosquitto.certificates) as second:
        assert second.port != own_mosquitto.port


def test_a_port_is_only_known_once_it_runs(cell: Cell) -> None:
    with pytest.raises(MosquittoError, match="start it first"):
        _ = Mosquitto(cell.certificates).port


def test_a_missing_program_is_named_with_what_installs_it(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name, path: None)  # noqa: ARG005  # shutil's signature
    with pytest.raises(MosquittoError, match="apt-get install --no-install-recommends mosquitto"):
        Mosquitto(cell.certificates)


KILLED_PARENT = """
import os, signal, threading
from pathlib import Path
from broker.mosquitto.files import Certificates
from broker.mosquitto.supervisor import Mosquitto

def start():
    broker.start()

broker = Mosquitto(Certificates.of(Path({pki!r})), Path({directory!r}))
thread = threading.Thread(target=start)  # the broker must outlive the thread that asked for it
thread.start()
thread.join()
threading.Event().wait(0.3)
print(broker.pid if broker.running else 0, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_broker_dies_with_its_starter_and_not_before(cell: Cell, tmp_path: Path) -> None:
    program = KILLED_PARENT.format(pki=str(cell.pki), directory=str(tmp_path / "broker"))
    parent = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert parent.returncode == -signal.SIGKILL
    pid = int(parent.stdout)
    assert pid, "the broker ended with the thread that started it"
    assert has_ended(pid)
