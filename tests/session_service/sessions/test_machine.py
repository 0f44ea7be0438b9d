"""The table of moves: what is in it, what is not, and that nothing is lost in it."""

from __future__ import annotations

import pytest

from session_service.sessions.machine import (
    ENDED,
    LIVE,
    MOVES,
    WAITING,
    Event,
    IllegalMoveError,
    SessionState,
    allows,
    move,
)

ALL = [(state, event) for state in SessionState for event in Event]


@pytest.mark.parametrize(("state", "event"), [pair for pair in ALL if pair not in MOVES])
def test_a_move_that_is_not_in_the_table_is_an_error(state: SessionState, event: Event) -> None:
    assert not allows(state, event)
    with pytest.raises(IllegalMoveError, match=f"{event} is no move from {state}") as refused:
        move(state, event)
    assert (refused.value.state, refused.value.event) == (state, event)


@pytest.mark.parametrize(("state", "event"), list(MOVES))
def test_a_move_in_the_table_leads_where_it_says(state: SessionState, event: Event) -> None:
    assert allows(state, event)
    assert move(state, event) is MOVES[state, event]


def reachable(start: SessionState) -> set[SessionState]:
    found, todo = {start}, [start]
    while todo:
        here = todo.pop()
        ahead = {after for (before, _), after in MOVES.items() if before is here} - found
        found |= ahead
        todo += ahead
    return found


def test_every_state_can_be_reached_and_every_event_moves_something() -> None:
    assert reachable(SessionState.REQUESTED) == set(SessionState)
    assert {event for _, event in MOVES} == set(Event)


@pytest.mark.parametrize("state", SessionState)
def test_every_session_can_come_to_an_end(state: SessionState) -> None:
    assert reachable(state) & ENDED


def test_closed_and_refused_are_final_and_only_late_proof_reopens_a_session_that_did_not_unlock() -> None:
    after_the_end = {pair: after for pair, after in MOVES.items() if pair[0] in ENDED}
    assert after_the_end == {(SessionState.NOT_UNLOCKED, Event.UNLOCKED): SessionState.REVIEW}


def test_money_is_taken_only_on_the_way_through_settling() -> None:
    assert [pair for pair, after in MOVES.items() if after is SessionState.CLOSED] == [
        (SessionState.SETTLING, Event.SETTLED)
    ]


def test_settling_is_reached_by_evidence_or_by_a_person_and_never_by_time() -> None:
    settling = {event for (_, event), after in MOVES.items() if after is SessionState.SETTLING}
    said = {Event.DISOWNED, Event.SAID_SHUT, Event.SAID_BROKEN}
    assert settling == {Event.LOCKED, Event.LOCKED_LATE, Event.ENDED_BY_OPERATOR, Event.DECIDED} | said


def test_a_paused_session_is_not_ended_by_its_lock() -> None:
    assert not allows(SessionState.PAUSED, Event.LOCKED)


def test_live_ended_and_review_are_all_states_there_are() -> None:
    assert LIVE.isdisjoint(ENDED)
    assert LIVE | ENDED | {SessionState.REVIEW, SessionState.REQUESTED} == set(SessionState)
    assert WAITING <= LIVE


def test_what_time_alone_can_do_is_known() -> None:
    by_time = {Event.ANSWER_OVERDUE, Event.GRACE_PASSED, Event.LOCK_OVERDUE, Event.PAST_CAP}
    assert {pair: after for pair, after in MOVES.items() if pair[1] in by_time} == {
        (SessionState.UNLOCKING, Event.ANSWER_OVERDUE): SessionState.UNKNOWN,
        (SessionState.UNKNOWN, Event.GRACE_PASSED): SessionState.NOT_UNLOCKED,
        (SessionState.LOCKING, Event.LOCK_OVERDUE): SessionState.REVIEW,
        (SessionState.ACTIVE, Event.PAST_CAP): SessionState.REVIEW,
        (SessionState.PAUSED, Event.PAST_CAP): SessionState.REVIEW,
    }
