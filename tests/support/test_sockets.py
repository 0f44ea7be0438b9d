"""The rule of ``tests/conftest.py``: no network without the mark ``server``."""

from __future__ import annotations

import asyncio
import socket

import pytest
from pytest_socket import SocketBlockedError

from broker.mosquitto.ports import LOOPBACK, free_port

pytestmark = pytest.mark.filterwarnings("ignore:A test tried to use socket")


def test_a_test_without_the_mark_cannot_open_a_socket() -> None:
    with pytest.raises(SocketBlockedError):
        socket.socket()


async def test_it_can_use_asyncio_all_the_same() -> None:
    await asyncio.sleep(0)


@pytest.mark.server
def test_a_test_with_the_mark_can() -> None:
    with socket.socket() as server:
        server.bind((LOOPBACK, free_port()))


@pytest.mark.parametrize("allowed", [False, pytest.param(True, marks=pytest.mark.server)])
def test_a_parameter_can_carry_the_mark(allowed: bool) -> None:  # noqa: FBT001  # a parameter of the test
    try:
        socket.socket().close()
    except SocketBlockedError:
        assert not allowed
    else:
        assert allowed
