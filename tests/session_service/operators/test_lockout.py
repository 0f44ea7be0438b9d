from __future__ import annotations

import pytest

from session_service.operators import lockout
from session_service.operators.lockout import NAME, NAME_HERE, PLACE, Limit

SECRET = bytes(32)


@pytest.mark.parametrize("limit", [NAME_HERE, PLACE, NAME])
def test_the_wait_begins_at_a_second_doubles_and_ends(limit: Limit) -> None:
    waits = [limit.wait_ms(limit.free + more) for more in range(6)]

    assert waits == [0, 1_000, 2_000, 4_000, 8_000, 16_000]
    assert limit.wait_ms(limit.free + 10**9) == limit.longest_ms


def test_guesses_from_elsewhere_keep_nobody_out_for_longer_than_half_a_minute() -> None:
    assert NAME.longest_ms <= 30_000
    assert PLACE.longest_ms <= 60_000


def test_where_an_operator_has_signed_in_before_the_guesses_of_others_do_not_count() -> None:
    keys = lockout.keys_of(SECRET, "Ada", "desk")

    assert keys.name not in keys.limits(known_place=True)
    assert keys.limits(known_place=False) == {keys.place: PLACE, keys.name: NAME, keys.name_here: NAME_HERE}


def test_keys_tell_names_and_places_apart_and_name_neither() -> None:
    keys = [lockout.keys_of(SECRET, name, place) for name, place in (("Ada", "x"), ("Bea", "x"), ("Ada", "y"))]

    assert len({key.name_here for key in keys}) == 3
    assert len({key.name for key in keys}) == 2
    assert lockout.keys_of(SECRET, "ab", "c").name_here != lockout.keys_of(SECRET, "a", "bc").name_here
    assert lockout.keys_of(b"x" * 32, "Ada", "x").name != keys[0].name
    assert "Ada" not in str(keys)


def test_a_network_of_ipv6_is_one_place() -> None:
    def place(address: str | None) -> str:
        return lockout.place_of(SECRET, address)

    assert place("2001:db8::1") == place("2001:db8::ffff:1") != place("2001:db8:0:1::1")
    assert place("192.0.2.1") != place("192.0.2.2")
    assert len({place(None), place("a name"), place("192.0.2.1")}) == 3
