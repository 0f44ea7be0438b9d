from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_service.riders.token import RiderIdentity, make_token, read_token

SECRET = bytes(range(32))
RIDER = RiderIdentity("01HF0000000000000000000000", "4Q7PK2M0ZT4Q7PK2")
TOKEN = make_token(SECRET, RIDER)


def test_a_token_names_its_rider_and_nonce() -> None:
    assert read_token(SECRET, TOKEN) == RIDER
    assert RIDER.actor == "rider:01HF0000000000000000000000"


@given(st.integers(0, len(TOKEN) - 1), st.characters())
def test_no_character_can_be_changed(place: int, character: str) -> None:
    changed = TOKEN[:place] + character + TOKEN[place + 1 :]
    assert read_token(SECRET, changed) == (RIDER if changed == TOKEN else None)


@pytest.mark.parametrize("token", ["", ".", "..", TOKEN[:-1], TOKEN + "=", TOKEN + ".", TOKEN.replace(".", "", 1), "ä"])
def test_what_is_no_token_names_nobody(token: str) -> None:
    assert read_token(SECRET, token) is None


def test_another_installations_token_names_nobody() -> None:
    assert read_token(bytes(32), TOKEN) is None


def test_the_border_between_id_and_nonce_cannot_be_moved() -> None:
    moved = RiderIdentity(RIDER.id + RIDER.nonce[0], RIDER.nonce[1:])
    assert make_token(SECRET, moved).rpartition(".")[2] != TOKEN.rpartition(".")[2]
