"""Position from gpsd: Debian's own with a recorded track, and a stand-in that says what a broken one would."""

from __future__ import annotations

import queue
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from broker.contract.messages import Position
from device_agent.clock import SystemClock
from device_agent.core.events import DriveEnded, SensorsChanged
from device_agent.core.senses import distance_m
from device_agent.drivers.memory import MemoryLock
from device_agent.senses.gpsd import ANSWER_LIMIT, KEPT_READINGS, UNKNOWN_ACCURACY_M, Gpsd
from device_agent.senses.loading import World, sensed
from device_agent.senses.sampling import SenseError
from device_agent.senses.settings import Gps, SensesSettings

pytestmark = pytest.mark.server

PATIENCE_S = 20.0
TRACK = Path(__file__).with_name("track.nmea")
START = Position(lat=41.881032, lon=-87.624084)
LENGTH_M = 150.0


def poll(*tpv: str) -> bytes:
    return f'{{"class":"POLL","time":"2026-06-14T09:15:00Z","active":1,"tpv":[{",".join(tpv)}],"sky":[]}}\n'.encode()


def fix(second: int, lat: float = 51.5, more: str = "") -> str:
    return f'{{"class":"TPV","mode":3,"time":"2026-06-14T09:15:{second:02}Z","lat":{lat},"lon":13.0{more}}}'


class Stand:
    """Answers each poll with the next of its answers; an empty one hangs up."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.watched = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while self._answers:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.sendall(b'{"class":"VERSION","release":"3.22"}\n')
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        for line in connection.makefile("rb"):
            self.watched += line.startswith(b"?WATCH=")
            if line == b"?POLL;\n":
                answer = self._answers.pop(0) if self._answers else b""
                if not answer:
                    return
                connection.sendall(answer)

    def close(self) -> None:
        self._socket.close()


@contextmanager
def standing(*answers: bytes) -> Iterator[tuple[Gpsd, Stand]]:
    stand = Stand(*answers)
    gpsd = Gpsd(Gps(port=stand.port))
    try:
        yield gpsd, stand
    finally:
        gpsd.close()
        stand.close()


def test_the_most_exact_receiver_counts_and_one_that_says_nothing_of_itself_counts_for_little() -> None:
    both = poll(fix(1, 51.5), fix(1, 51.6, ',"eph":4.5'))
    with standing(b'{"class":"WATCH"}\n{"class":"DEVICES"}\n' + both, poll(fix(2))) as (gpsd, stand):
        assert gpsd.read() == Position(lat=51.6, lon=13.0, accuracy_m=4.5)
        assert gpsd.read() == Position(lat=51.5, lon=13.0, accuracy_m=UNKNOWN_ACCURACY_M)
        assert stand.watched == 1


@pytest.mark.parametrize(
    "nothing",
    [
        poll('{"mode":1}'),
        poll('{"mode":3,"time":"2026-06-14T09:16:00Z","lat":51.5}'),
        poll(fix(9, 51.5, ',"eph":900.0')),
        poll(fix(9, 251.5)),
        poll(fix(1)),  # what a receiver said last, before it died
    ],
    ids=["no fix", "half", "anywhere", "nowhere", "again"],
)
def test_a_lost_fix_counts_for_a_while_and_then_no_more(nothing: bytes) -> None:
    with standing(poll(fix(1)), *[nothing] * (KEPT_READINGS + 1), poll(fix(30))) as (gpsd, _):
        reads = [gpsd.read() is not None for _ in range(KEPT_READINGS + 3)]
    assert reads == [True] * (KEPT_READINGS + 1) + [False, True]


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (b"", "closed the connection"),
        (poll(), "no receiver"),
        (b"HTTP/1.1 400 Bad Request\n", "not gpsd"),
        (b'{"class":["POLL"]}\n', "not gpsd"),
        (b'{"class":"ERROR"}\n' * 20, "does not answer"),
        (b"x" * (ANSWER_LIMIT + 2), "no end"),
    ],
)
def test_a_broken_gpsd_is_named_and_asked_again(answer: bytes, cause: str) -> None:
    with standing(answer, poll(fix(1))) as (gpsd, _):
        with pytest.raises(SenseError, match=cause):
            gpsd.read()
        gpsd.close()
        assert gpsd.read() is not None


def test_without_gpsd_its_place_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(SenseError, match=rf"gpsd at 127\.0\.0\.1:{port}: Connection refused"):
        Gpsd(Gps(port=port)).read()


@contextmanager
def gpsfake() -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["gpsfake", "--quiet", "--nowait", "--cycle", "0.02", "--port", str(port), str(TRACK)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield port, process
    finally:
        process.terminate()  # it ends the gpsd that it started
        process.wait(PATIENCE_S)


def wait_for(events: queue.Queue[DriveEnded | SensorsChanged], good: Callable[[Position | None], bool]) -> None:
    deadline = time.perf_counter() + PATIENCE_S
    while not good(events.get(timeout=max(0.1, deadline - time.perf_counter())).status.position):
        assert time.perf_counter() < deadline


def is_on_track(position: Position | None) -> bool:
    return position is not None and distance_m(START, position) <= LENGTH_M + 1 and position.lat > START.lat - 1e-6


@pytest.mark.skipif(shutil.which("gpsfake") is None, reason="needs gpsd and gpsfake: apt-get install gpsd gpsd-clients")
def test_a_ride_past_gpsd_itself() -> None:
    clock, events = SystemClock("boot-of-the-test"), queue.Queue[DriveEnded | SensorsChanged]()
    with gpsfake() as (port, process):
        world = World(clock=clock, time_of_day=clock.time_of_day, path=Path)
        lock = sensed(MemoryLock(clock), SensesSettings(position=Gps(port=port, every_s=1)), world)
        lock.listen(events.put)
        lock.status()
        try:
            wait_for(events, is_on_track)
            there = lock.status().position
            assert there is not None
            wait_for(events, lambda now: is_on_track(now) and now is not None and distance_m(there, now) >= 10)
            process.terminate()
            wait_for(events, lambda now: now is None)
        finally:
            lock.close()
