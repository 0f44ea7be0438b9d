"""When a sense is read, when it is lost, and how often that is said."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from device_agent.senses.sampling import LOST_AFTER, RETRY_MS, TELL_AGAIN_MS, Middle, Sampled, SenseError

EVERY_MS = 60_000


def replies(*said: Any) -> Callable[[], Any]:
    """Return what answers so, one after the other; errors are raised."""
    left = list(said)

    def read() -> Any:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return read


def test_a_sense_is_read_at_its_rate_and_a_single_failure_loses_nothing() -> None:
    sense = Sampled("battery", replies(80, SenseError("bus is busy"), 79), EVERY_MS)
    assert (sense.value, sense.due_ms) == (None, 0)
    sense.sample(5)
    assert (sense.value, sense.due_ms) == (80, 5 + EVERY_MS)
    sense.sample(sense.due_ms)
    assert (sense.value, sense.cause) == (80, "bus is busy")
    assert sense.due_ms == 5 + EVERY_MS + RETRY_MS
    sense.sample(sense.due_ms)
    assert (sense.value, sense.cause) == (79, None)


def test_what_is_lost_is_none_and_told_once_a_cause(caplog: pytest.LogCaptureFixture) -> None:
    gone, other = OSError(121, "Remote I/O error"), SenseError("nonsense")
    said = (80, *[gone] * LOST_AFTER, gone, gone, 81, *[gone] * LOST_AFTER, other)
    sense = Sampled("battery", replies(*said), EVERY_MS)
    with caplog.at_level(logging.INFO):
        values = []
        for now_ms in range(len(said)):
            sense.sample(now_ms)
            values.append(sense.value)
    assert values == [80, 80, None, None, None, 81, 81, None, None]
    assert [record.getMessage() for record in caplog.records] == [
        "sense is lost sense=battery cause=[Errno 121] Remote I/O error",
        "sense is back sense=battery",
        "sense is lost sense=battery cause=nonsense",
    ]


def test_no_error_of_a_sense_ends_the_agent(caplog: pytest.LogCaptureFixture) -> None:
    sense = Sampled("display", replies(*[KeyError("font")] * LOST_AFTER), EVERY_MS)
    for now_ms in range(LOST_AFTER):
        sense.sample(now_ms)
    assert (sense.value, sense.cause) == (None, "KeyError: 'font'")
    assert len(caplog.records) == 1


def test_a_loose_plug_is_told_again_after_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    sense = Sampled("battery", replies(*[SenseError("unplugged")] * (LOST_AFTER + 1)), EVERY_MS)
    for now_ms in (*range(LOST_AFTER), TELL_AGAIN_MS + LOST_AFTER):
        sense.sample(now_ms)
    assert len(caplog.records) == 2


def test_one_reading_that_is_far_off_counts_for_nothing_not_even_the_first() -> None:
    middle = Middle(replies(0, 80, 81, 255, 82, 0, OSError(5, "I/O error"), 50, 50, 50))
    assert [middle(), middle(), middle(), middle()] == [80, 81, 82, 82]
    with pytest.raises(OSError, match="I/O"):
        middle()
    assert middle() == 50
