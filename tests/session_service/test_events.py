"""The stream of a session's events: resumed, private, and ended with the session."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.towns import Town
from tests.support.world import Rider

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="module")]

PATIENCE_S = 15.0


@dataclass(frozen=True)
class Event:
    id: int
    session: dict[str, Any]


async def heard(
    rider: Rider, session_id: str, after: int | None = None, first: asyncio.Event | None = None
) -> list[Event]:
    """Return all events until the service ends the stream; set ``first`` when one has come."""
    headers = {**rider.headers, **({} if after is None else {"Last-Event-ID": str(after)})}
    events: list[Event] = []
    fields: dict[str, str] = {}
    async with (
        asyncio.timeout(PATIENCE_S),
        rider.client.stream("GET", f"/v1/sessions/{session_id}/events", headers=headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            name, _, value = line.partition(":")
            fields[name] = value
            if not line and "data" in fields:
                events.append(Event(int(fields["id"]), json.loads(fields["data"])))
                fields = {}
                if first is not None:
                    first.set()
    return events


async def test_a_stream_tells_every_move_and_ends_with_the_session(town: Town) -> None:
    bike = await town.world.device()
    rider = await town.world.rider()
    session_id = (await rider.start(bike.device.label)).json()["id"]
    begun = asyncio.Event()
    stream = asyncio.create_task(heard(rider, session_id, first=begun))
    await begun.wait()

    bike.do("lock_by_hand", {})
    events = await stream

    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert [event.session["version"] for event in events] == [event.id for event in events]
    assert events[-1].session["state"] == "closed"
    assert events[-1].session == await rider.session(session_id)


async def test_a_stream_is_resumed_after_the_last_event_that_was_heard(town: Town) -> None:
    session_id = town.ids["session_id"]
    everything = await heard(town.rider, session_id)

    for after in range(len(everything) + 1):
        assert await heard(town.rider, session_id, after) == everything[after:]
    assert await heard(town.rider, session_id, 999_999_999) == []


async def test_nobody_hears_the_events_of_somebody_elses_session(town: Town) -> None:
    stranger = await town.world.rider(funds_minor=0)

    for headers in (stranger.headers, {}, town.world.operator):
        answer = await town.world.client.get(f"/v1/sessions/{town.ids['session_id']}/events", headers=headers)

        assert answer.status_code == (404 if headers is stranger.headers else 401)
        assert answer.headers["content-type"] == "application/problem+json"
