"""What tests of the device share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from simulators.card import Card, new_card
from simulators.errors import CardError


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Card]:
    """A memory card, where this machine can mount one."""
    with ExitStack() as kept:
        try:
            card = kept.enter_context(new_card(tmp_path))
        except CardError as error:
            pytest.skip(str(error))
        yield card
