"""What tests of the device share."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from broker.mosquitto.supervisor import Mosquitto
from simulators.card import Card, new_card
from simulators.errors import CardError
from tests.support.agent_program import Program
from tests.support.agent_service import HeardService
from tests.support.agent_world import DEVICE


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Card]:
    """A memory card, where this machine can mount one."""
    with ExitStack() as kept:
        try:
            card = kept.enter_context(new_card(tmp_path))
        except CardError as error:
            pytest.skip(str(error))
        yield card


@pytest.fixture
def program(tmp_path: Path, own_mosquitto: Mosquitto) -> Iterator[Program]:
    """The agent as a program; a test starts it."""
    program = Program(tmp_path, own_mosquitto)
    yield program
    if program.process is not None and program.process.poll() is None:
        program.end(signal.SIGKILL)


@pytest.fixture
def service(own_mosquitto: Mosquitto) -> Iterator[HeardService]:
    """The service's side of that agent's broker."""
    service = HeardService(own_mosquitto, DEVICE)
    yield service
    service.close()
