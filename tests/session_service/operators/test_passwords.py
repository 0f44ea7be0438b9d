from __future__ import annotations

import pytest

from session_service.operators import passwords
from session_service.operators.errors import PoorPasswordError

GOOD = "correct horse battery"


def test_a_password_is_right_and_any_other_is_not() -> None:
    stored = passwords.hashed(GOOD, "Ada")

    assert passwords.is_right(stored, GOOD)
    assert not passwords.is_right(stored, GOOD + " ")
    assert not passwords.is_right(stored, "")


def test_what_is_stored_is_argon2id_with_the_parameters_of_rfc_9106_and_a_salt_of_its_own() -> None:
    first, second = passwords.hashed(GOOD, "Ada"), passwords.hashed(GOOD, "Ada")

    assert first.startswith("$argon2id$v=19$m=65536,t=3,p=1$")
    assert first != second
    assert GOOD not in first


def test_where_there_is_no_password_nothing_is_right() -> None:
    assert not passwords.is_right(None, "of nobody")
    assert not passwords.is_right("", "")
    assert not passwords.is_right("no hash at all", GOOD)


def test_a_password_is_hashed_where_there_is_none_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the time would tell which names there are."""
    looked_at: list[str] = []

    class Hasher:
        def verify(self, stored: str, _password: str) -> bool:
            looked_at.append(stored)
            return True

        def hash(self, password: str) -> str:
            return f"hash {password}"

    monkeypatch.setattr(passwords, "_HASHER", Hasher())
    passwords._nobodys.cache_clear()

    assert not passwords.is_right(None, "x")
    passwords._nobodys.cache_clear()
    assert looked_at == ["hash of nobody"]


def test_letters_are_what_they_look_like_on_any_keyboard() -> None:
    stored = passwords.hashed("Großmüller\u0301 12345", "Ada")

    assert passwords.is_right(stored, "Gro\u00dfmu\u0308ller\u0301 12345")


@pytest.mark.parametrize(
    "poor", ["", "x" * 11, "eleven char", "x" * 12, "abcabcabcabc", "q" * 129, "I am ADA, you see"]
)
def test_a_password_that_can_be_guessed_is_refused(poor: str) -> None:
    with pytest.raises(PoorPasswordError, match="Take"):
        passwords.hashed(poor, "Ada")


def test_a_name_of_two_letters_may_be_in_it() -> None:
    assert passwords.is_right(passwords.hashed(GOOD, "Re"), GOOD)


def test_half_a_character_is_no_crash() -> None:
    assert not passwords.is_right(passwords.hashed(GOOD, "Ada"), "\ud800")
