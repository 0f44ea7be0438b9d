"""Reports that come before the one before them has been stored by another instance."""

from __future__ import annotations

import asyncio

import pytest

from broker.contract.codes import Bolt
from broker.contract.messages import VERSION, BootReport, Report, Status
from session_service.fleet import overtaking
from session_service.fleet.overtaking import Overtaking
from session_service.fleet.reports import Verdict


def report(seq: int) -> Report:
    return Report(
        version=VERSION,
        device="7K3M9QXA2B",
        journal_id="journal-0001",
        seq=seq,
        boot_id="boot-000000000001",
        uptime_ms=seq,
        status=Status(bolt=Bolt.CLOSED),
        body=BootReport(agent_version="1"),
    )


class Again:
    """Takes what is to be looked at again."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.held = Overtaking(lambda device, token: self.queue.put_nowait((device, token)))


async def test_a_report_with_a_gap_before_it_is_looked_at_again_some_times_and_then_it_is_a_gap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(overtaking, "WAITS_S", (0.0, 0.0, 0.0))
    again = Again()
    for _ in range(2):  # a gap that has been asked about is one like any other when the report comes anew
        looks = 0
        while again.held.holds(report(5), "five", Verdict.GAP):
            assert await again.queue.get() == ("7K3M9QXA2B", b"five")
            looks += 1
        assert looks == 3


async def test_what_is_no_gap_is_not_held_and_nothing_is_remembered_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overtaking, "WAITS_S", (0.0,))
    monkeypatch.setattr(overtaking, "WAITING_MAX", 1)
    again = Again()
    assert again.held.holds(report(5), "five", Verdict.GAP)
    assert not again.held.holds(report(7), "seven", Verdict.GAP)  # as many as may wait do
    assert not again.held.holds(report(5), "five", Verdict.STORED)
    assert again.held.holds(report(7), "seven", Verdict.GAP)
