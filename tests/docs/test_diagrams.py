from __future__ import annotations

from enum import StrEnum

from docs.diagrams import PAGE, diagram, page


class Door(StrEnum):
    OPEN = "open"
    SHUT = "shut"


class Hand(StrEnum):
    PULL = "pull"
    SLAM_IT = "slam_it"
    PUSH = "push"


def test_moves_between_the_same_two_states_share_an_arrow() -> None:
    moves = {(Door.OPEN, Hand.PUSH): Door.SHUT, (Door.OPEN, Hand.SLAM_IT): Door.SHUT, (Door.SHUT, Hand.PULL): Door.OPEN}
    assert diagram(moves, Door.OPEN, [Door.SHUT]).splitlines()[1:-1] == [
        "stateDiagram-v2",
        "    [*] --> open",
        "    open --> shut: push / slam it",
        "    shut --> open: pull",
        "    shut --> [*]",
    ]


def test_the_page_is_as_new_as_the_tables() -> None:
    assert PAGE.read_text() == page(), "docs/states.md is old: run `make docs`"
