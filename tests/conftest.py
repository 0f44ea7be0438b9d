"""Fixtures for all tests, and the rule that only tests marked ``server`` may open a socket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import pytest_socket

from broker.mosquitto.supervisor import Mosquitto
from tests.support.cell import Cell
from tests.support.postgres import Postgres

pytest_plugins = ["tests.support.databases", "tests.support.towns"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Take the network from every test that is not marked ``server``.

    Unix sockets stay, because asyncio wakes its own loop through a pair of them.
    """
    if item.get_closest_marker("server") is None:
        pytest_socket.disable_socket(allow_unix_socket=True)
    else:
        pytest_socket.enable_socket()


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """One broker for all tests that leave it as they found it: add users of your own, and retain nothing."""
    with Mosquitto(Cell(tmp_path_factory.mktemp("pki")).certificates) as broker:
        yield broker


@pytest.fixture
def own_mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A broker for one test, with an authority of its own, to be killed, frozen and filled at will."""
    with Mosquitto(Cell(tmp_path_factory.mktemp("pki")).certificates) as broker:
        yield broker


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for all tests; each makes its own databases on it (``new_database``)."""
    with Postgres() as server:
        yield server
