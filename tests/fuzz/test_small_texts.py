"""Short texts from outside whose whole grammar is a line: Hypothesis looks for the odd ones."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from broker.contract import topics
from session_service.waiting import MAX_WAIT_S, wait_s


@given(st.text() | st.from_regex(r"\A.*wait ?= ?\"?[0-9]{1,6}.*\Z"))
def test_a_wish_to_wait_is_bounded(prefer: str) -> None:
    found = wait_s(prefer)
    assert math.isfinite(found)
    assert 0 <= found <= MAX_WAIT_S


@given(st.text() | st.from_regex(r"u1/[0-9A-Z]{10}.?/(cmd|rpt).?"))
def test_a_topic_is_read_as_it_is_written_or_not_at_all(name: str) -> None:
    try:
        device, channel = topics.parse(name)
    except ValueError:
        return
    assert topics.topic(device, channel) == name
