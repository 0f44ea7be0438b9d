"""What the tests of the commands pass to each other."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Said(NamedTuple):
    """What a command answered."""

    status: int
    out: str
    err: str


class Unlatch(Protocol):
    """Runs a command in this process."""

    def __call__(self, *arguments: str) -> Said: ...
