from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from broker.contract.codes import Bolt
from broker.contract.messages import Heartbeat, Status
from session_service.database import Database
from session_service.devices import service as devices
from session_service.devices.anchor import Anchor
from session_service.devices.heartbeats import Beat
from session_service.devices.model import Kind
from session_service.devices.service import By, NewDevice
from session_service.fleet.clones import ALERT, SLACK_MS, are_two, note_clones

NOW_MS = 1_790_000_000_000
A, B = "boot-00000000000A", "boot-00000000000B"
EVERY_MS = 30_000  # between heartbeats


class Fleet:
    """One device's heartbeats, as the gateway takes them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.device = devices.register(connection, NewDevice(Kind.BIKE, 1), By("test", "", NOW_MS)).id

    def hear(self, *beats: tuple[str, int, int]) -> list[bool]:
        """Take heartbeats of (boot, uptime, arrival since ``NOW_MS``), all in ms; say which raised an alert."""
        return [bool(self._take([self._beat(*beat)])) for beat in beats]

    def _take(self, beats: list[Beat]) -> list[str]:
        found = note_clones(self._connection, beats)
        devices.note_heartbeats(self._connection, beats)
        return found

    def _beat(self, boot_id: str, uptime_ms: int, after_ms: int) -> Beat:
        said = Heartbeat(
            version=1,
            device=self.device,
            boot_id=boot_id,
            uptime_ms=uptime_ms,
            journal_id="journal-0001",
            last_seq=0,
            outbox_depth=0,
            status=Status(bolt=Bolt.CLOSED),
            agent_version="1.0",
        )
        return said, NOW_MS + after_ms

    def alerts(self) -> list[str]:
        return [alert.kind for alert in devices.look(self._connection, self.device).alerts]


@pytest.fixture
def fleet(connection: Connection) -> Fleet:
    return Fleet(connection)


def test_two_machines_that_take_turns_raise_one_alert(fleet: Fleet) -> None:
    turns = []
    for n in range(6):
        turns += [(A, 1_000_000 + n * EVERY_MS, n * EVERY_MS), (B, 5_000 + n * EVERY_MS, n * EVERY_MS + 7_000)]
    raised = fleet.hear(*turns)
    assert sum(raised) == 1
    assert raised.index(True) <= 4
    assert fleet.alerts() == [ALERT]


def test_a_machine_that_rejoins_after_days_of_another_is_seen(fleet: Fleet) -> None:
    day_ms = 86_400_000
    assert fleet.hear((A, 1_000, 0), (B, 1_000, day_ms), (A, 2 * day_ms, 2 * day_ms)) == [False, False, True]


def test_an_alert_that_was_cleared_is_raised_again(fleet: Fleet, connection: Connection) -> None:
    fleet.hear((A, 1_000_000, 0), (B, 1_000, 10_000), (A, 1_090_000, 90_000))
    devices.clear_alert(connection, fleet.device, ALERT, NOW_MS)
    assert fleet.hear((B, 91_000, 100_000), (A, 1_180_000, 180_000)) == [False, True]


def test_an_ordinary_reboot_raises_none(fleet: Fleet) -> None:
    fleet.hear(*((A, n * EVERY_MS, n * EVERY_MS) for n in range(10)))
    fleet.hear(*((B, n * EVERY_MS, 320_000 + n * EVERY_MS) for n in range(10)))
    assert fleet.alerts() == []


def test_a_last_word_that_comes_late_raises_none(fleet: Fleet) -> None:
    fleet.hear((A, 1_000_000, 0), (A, 1_030_000, 30_000))
    assert fleet.hear((B, 20_000, 100_000), (A, 1_060_000, 160_000), (B, 50_000, 130_000)) == [False] * 3
    assert fleet.alerts() == []


def test_an_old_word_that_is_replayed_raises_none(fleet: Fleet) -> None:
    fleet.hear((A, 1_000_000, 0), (A, 1_030_000, 30_000), (B, 5_000, 60_000))
    assert fleet.hear((A, 1_030_000, 600_000), (A, 1_000_000, 700_000)) == [False, False]


def test_other_devices_in_the_same_batch_are_left_alone(fleet: Fleet, connection: Connection) -> None:
    other = Fleet.__new__(Fleet)
    other._connection = connection
    other.device = devices.register(connection, NewDevice(Kind.BIKE, 2), By("test", "", NOW_MS)).id
    for each in (fleet, other):
        each.hear((A, 1_000_000, 0))
    fleet.hear((B, 1_000, 10_000))
    found = fleet._take([fleet._beat(A, 1_090_000, 90_000), other._beat(A, 1_090_000, 90_000)])
    assert found == [fleet.device]


async def test_on_both_databases(database: Database) -> None:
    def work(connection: Connection) -> list[str]:
        fleet = Fleet(connection)
        fleet.hear((A, 1_000_000, 0), (B, 1_000, 10_000), (A, 1_090_000, 90_000))
        return fleet.alerts()

    assert await database.write(work) == [ALERT]


span = st.integers(0, 10_000_000)
delay = st.integers(0, SLACK_MS)


@given(lived=span, more=span, gap=span, anchored=delay, late=span, heard=span)
def test_one_machine_never_looks_like_two(
    lived: int, more: int, gap: int, anchored: int, late: int, heard: int
) -> None:
    """Whenever it reboots and however late words come, if the best of a boot was under way no longer than the slack."""
    before = Anchor(uptime_ms=lived, at_ms=NOW_MS + lived + anchored)
    begun_ms = NOW_MS + lived + more + gap  # the next boot begins after the last word of the one before
    current = Anchor(uptime_ms=heard, at_ms=begun_ms + heard + late)
    assert not are_two(before, lived + more, current)


@given(lived=span, heard=st.integers(1, SLACK_MS), since=st.integers(1, 10_000_000))
def test_two_machines_are_told_as_soon_as_the_slack_is_over(lived: int, heard: int, since: int) -> None:
    before = Anchor(uptime_ms=lived, at_ms=NOW_MS)
    current = Anchor(uptime_ms=0, at_ms=NOW_MS + heard)  # the other one boots after that
    assert are_two(before, lived + heard + SLACK_MS + since, current)
