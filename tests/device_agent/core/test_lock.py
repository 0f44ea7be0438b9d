"""The lock's table: what is not in it raises and changes nothing."""

from __future__ import annotations

import itertools

import pytest

from device_agent.core.lock import MOVES, IllegalMoveError, Lock, Move, State


@pytest.mark.parametrize(("state", "move"), list(itertools.product(State, Move)))
def test_only_what_is_in_the_table_moves_the_lock(state: State, move: Move) -> None:
    lock = Lock()
    lock.state = state
    if (state, move) in MOVES:
        lock.step(move)
        assert lock.state is MOVES[state, move]
    else:
        with pytest.raises(IllegalMoveError, match=f"{state} cannot take {move}"):
            lock.step(move)
        assert lock.state is state


def test_only_a_saved_intent_leads_to_driving() -> None:
    assert [key for key, state in MOVES.items() if state is State.DRIVING] == [(State.RECORDING, Move.INTENT_SAVED)]


def test_every_state_leads_back_to_rest() -> None:
    for state in (State.RECORDING, State.DRIVING):
        assert State.RESTING in [after for (before, _), after in MOVES.items() if before is state]
