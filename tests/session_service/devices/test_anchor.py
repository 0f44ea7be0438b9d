from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from session_service.devices.anchor import (
    MAX_AGE_MS,
    Anchor,
    raised_by_report,
    real_time_of,
    renewed_by_heartbeat,
    uptime_at,
)

BOOTED_AT_MS = 1_790_000_000_000


def test_the_estimate_goes_on_with_real_time() -> None:
    anchor = Anchor(uptime_ms=5_000, at_ms=BOOTED_AT_MS + 5_100)
    assert uptime_at(anchor, BOOTED_AT_MS + 6_100) == 6_000


def test_the_estimate_never_goes_back_before_the_anchor() -> None:
    assert uptime_at(Anchor(5_000, BOOTED_AT_MS), BOOTED_AT_MS - 400) == 5_000


def test_evidence_from_before_the_anchor_is_dated_before_it() -> None:
    assert real_time_of(Anchor(5_000, BOOTED_AT_MS + 5_000), 2_000) == BOOTED_AT_MS + 2_000


def test_a_less_delayed_heartbeat_makes_a_new_anchor() -> None:
    old, new = Anchor(1_000, 1_900), Anchor(2_000, 2_100)
    assert renewed_by_heartbeat(old, new) == new


def test_a_more_delayed_heartbeat_does_not() -> None:
    old, new = Anchor(1_000, 1_100), Anchor(2_000, 2_900)
    assert renewed_by_heartbeat(old, new) == old


def test_a_more_delayed_heartbeat_replaces_an_old_anchor() -> None:
    old = Anchor(1_000, 1_100)
    at_ms = old.at_ms + MAX_AGE_MS
    assert renewed_by_heartbeat(old, Anchor(60_000, at_ms)) == old
    assert renewed_by_heartbeat(old, Anchor(60_000, at_ms + 1)) == Anchor(60_000, at_ms + 1)


def test_a_replayed_heartbeat_does_not_replace_even_an_old_anchor() -> None:
    old = Anchor(50_000, 50_100)
    assert renewed_by_heartbeat(old, Anchor(50_000, 50_100 + 2 * MAX_AGE_MS)) == old


def test_a_report_from_the_journal_changes_nothing() -> None:
    assert raised_by_report(Anchor(50_000, 50_100), Anchor(20_000, 90_000)) is None
    assert raised_by_report(Anchor(50_000, 50_100), Anchor(60_000, 60_200)) is None


def test_a_quick_report_raises_the_anchor() -> None:
    assert raised_by_report(Anchor(50_000, 50_100), Anchor(60_000, 60_050)) == Anchor(60_000, 60_050)


@dataclass(frozen=True)
class Message:
    """A message of a device: sent so long after the one before, about a time so long past, so long on its way."""

    after_ms: int
    about_past_ms: int
    delay_ms: int
    heartbeat: bool


MESSAGES = st.lists(
    st.builds(
        Message,
        after_ms=st.integers(0, 40_000),
        about_past_ms=st.integers(0, 3_600_000),
        delay_ms=st.integers(0, 90_000),
        heartbeat=st.booleans(),
    ),
    min_size=1,
    max_size=30,
)


class Device:
    """A device whose crystal is ``ppm`` fast, and what its messages say when they arrive."""

    def __init__(self, ppm: int) -> None:
        self._rate = 1 + ppm / 1_000_000

    def uptime(self, real_ms: int) -> int:
        return int((real_ms - BOOTED_AT_MS) * self._rate)

    def arrivals(self, messages: list[Message]) -> list[tuple[Message, Anchor]]:
        sent_ms, arrived = BOOTED_AT_MS, []
        for message in messages:
            sent_ms += message.after_ms
            uptime_ms = self.uptime(sent_ms) - (0 if message.heartbeat else message.about_past_ms)
            arrived.append((message, Anchor(max(0, uptime_ms), sent_ms + message.delay_ms)))
        return sorted(arrived, key=lambda pair: pair[1].at_ms)


def taken(arrivals: list[tuple[Message, Anchor]]) -> list[Anchor]:
    """Return the anchor after each arrival from the first heartbeat on."""
    anchors: list[Anchor] = []
    for message, new in arrivals:
        if not anchors:
            anchors += [new] if message.heartbeat else []
        elif message.heartbeat:
            anchors.append(renewed_by_heartbeat(anchors[-1], new))
        else:
            anchors.append(raised_by_report(anchors[-1], new) or anchors[-1])
    return anchors


@given(MESSAGES, st.integers(0, 600_000))
def test_the_estimate_is_never_above_the_truth(messages: list[Message], later_ms: int) -> None:
    device = Device(ppm=0)
    for anchor in taken(device.arrivals(messages)):
        real_ms = anchor.at_ms + later_ms
        assert uptime_at(anchor, real_ms) <= device.uptime(real_ms)


@given(MESSAGES, st.integers(-50, 50), st.integers(0, 30_000))
def test_a_crystal_that_drifts_costs_no_more_than_its_drift_since_the_anchor(
    messages: list[Message], ppm: int, later_ms: int
) -> None:
    device = Device(ppm)
    for anchor in taken(device.arrivals(messages)):
        real_ms = anchor.at_ms + later_ms
        assert uptime_at(anchor, real_ms) <= device.uptime(real_ms) + later_ms * 50 / 1_000_000 + 1


@given(MESSAGES)
def test_evidence_is_never_dated_before_it_happened(messages: list[Message]) -> None:
    device = Device(ppm=0)
    for anchor in taken(device.arrivals(messages)):
        for _, said in device.arrivals(messages):
            assert device.uptime(real_time_of(anchor, said.uptime_ms)) >= said.uptime_ms


@given(MESSAGES)
def test_a_heartbeat_that_comes_at_once_makes_the_estimate_exact(messages: list[Message]) -> None:
    device = Device(ppm=0)
    anchors = taken(device.arrivals(messages))
    last_ms = max((anchor.at_ms for anchor in anchors), default=BOOTED_AT_MS) + 1
    prompt = Anchor(device.uptime(last_ms), last_ms)
    for anchor in anchors[-1:]:
        kept = renewed_by_heartbeat(anchor, prompt)
        assert uptime_at(kept, last_ms) == device.uptime(last_ms)
