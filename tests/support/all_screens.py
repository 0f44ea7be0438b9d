"""All screens, in the order in which riders come to them."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from tests.support.screens import Screen
from tests.support.screens_of_pages import FINDING, LABEL, OTHER, PAGES, WALLET, WRONG
from tests.support.screens_of_rides import DOUBT, ENDING, OPENING, RECEIPTS, RIDES, RUNNING

PARTS: Final = (LABEL, WALLET, OPENING, RUNNING, ENDING, RECEIPTS, DOUBT, FINDING, OTHER, WRONG)
SCREENS: Final = tuple(sorted((*PAGES, *RIDES), key=lambda screen: PARTS.index(screen.part)))


def by_part() -> dict[str, list[Screen]]:
    """Return the screens by the part of the way that they belong to."""
    return {part: list(screens) for part, screens in groupby(SCREENS, key=lambda screen: screen.part)}
