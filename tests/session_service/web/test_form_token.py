"""The token of a form is worth something to the visitor that it was made for, and to nobody else."""

from __future__ import annotations

import pytest

from session_service.web.form_token import is_right, make

SECRET = bytes(range(32))


def test_a_token_is_right_for_its_visitor() -> None:
    assert is_right(SECRET, "somebody", make(SECRET, "somebody"))


@pytest.mark.parametrize("visitor", ["somebody ", "Somebody", "somebod", "\udcff"])
def test_it_is_nothing_to_another_visitor(visitor: str) -> None:
    assert not is_right(SECRET, visitor, make(SECRET, "somebody"))


def test_it_is_nothing_to_another_installation() -> None:
    assert not is_right(bytes(32), "somebody", make(SECRET, "somebody"))


def test_nobody_has_no_token() -> None:
    assert not is_right(SECRET, "", make(SECRET, ""))


def test_no_character_can_be_changed() -> None:
    token = make(SECRET, "somebody")
    for place in range(len(token)):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert not is_right(SECRET, "somebody", changed)
    assert not is_right(SECRET, "somebody", token[:-1])
