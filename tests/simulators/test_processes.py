from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from simulators.errors import ChildError
from simulators.processes import Child, run

pytestmark = pytest.mark.server

PATIENCE_S = 20.0
SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + PATIENCE_S
    while not condition():
        assert time.perf_counter() < deadline
        time.sleep(0.01)


def until_up(child: Child) -> None:
    until(lambda: "up" in child.log_tail())


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "thing.log"


def test_a_child_runs_until_it_is_stopped_and_can_start_again(log: Path) -> None:
    child = Child("thing", SLEEP, log)
    for _ in range(2):
        child.start()
        pid = child.pid
        assert child.running
        child.stop()
        assert not child.running
        assert gone(pid)


def test_a_second_start_is_refused_while_it_runs(log: Path) -> None:
    child = Child("thing", SLEEP, log)
    child.start()
    try:
        with pytest.raises(ChildError, match="The thing runs already"):
            child.start()
    finally:
        child.kill()


def test_a_frozen_child_can_be_stopped(log: Path) -> None:
    child = Child("thing", SLEEP, log)
    child.start()
    until_up(child)
    child.freeze()
    pid = child.pid
    child.stop()
    assert gone(pid)


def test_a_child_that_will_not_end_is_killed(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.processes._STOP_TIMEOUT_S", 0.2)
    child = Child("thing", STUBBORN, log)
    child.start()
    until_up(child)
    pid = child.pid
    child.stop()
    assert gone(pid)


def test_a_complaint_shows_the_end_of_the_log(log: Path) -> None:
    child = Child("thing", [sys.executable, "-c", "raise SystemExit('no such port')"], log)
    child.start()
    until(lambda: not child.running)
    assert "The thing ended at once" in str(child.complaint("ended at once"))
    assert "no such port" in str(child.complaint("ended at once"))


def test_a_child_ends_when_the_program_that_started_it_is_killed(log: Path) -> None:
    parent = f"""
import time
from collections.abc import Callable
from pathlib import Path
from simulators.processes import Child
child = Child("thing", {SLEEP!r}, Path({str(log)!r}))
child.start()
while "up" not in child.log_tail():
    time.sleep(0.01)
print(child.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert not gone(pid)
        os.kill(starter.pid, signal.SIGKILL)
    until(lambda: gone(pid))


def test_a_program_that_fails_says_so_with_its_own_words() -> None:
    with pytest.raises(ChildError, match=r"`thing` failed with exit code 3:\nwhy"):
        run("thing", [sys.executable, "-c", "import sys; print('why', file=sys.stderr); sys.exit(3)"], dict(os.environ))
