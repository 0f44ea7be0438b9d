"""Hands on simulated devices: what people do to a bike or a pod, over a Unix socket of the fleet.

A request is one line of JSON, ``{"id": 1, "device": "...", "do": "lock_by_hand"}``; what the deed needs more stands
beside it. The answer is one line with the same ``id``, and either facts or an ``error``. Answers come in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from simulators.errors import DeedError

SOCKET_FILE: Final = "control.sock"
MAX_LINE_BYTES: Final = 65_536  # a deed has 200; the fleet's state a line a fact
_MAX_ADDRESS_BYTES: Final = 107  # the kernel's limit for the address of a Unix socket
_ASK_TIMEOUT_S: Final = 10.0

Facts = dict[str, Any]
Do = Callable[[Facts], Facts]
"""Does one deed and returns facts; raises ``DeedError`` if that cannot be done."""


@contextlib.contextmanager
def address(root: Path) -> Iterator[str]:
    """Give the address of the fleet of ``root``, good until the context ends.

    The kernel takes 107 bytes; a folder deeper than that is reached through its descriptor.

    Raises:
        OSError: there is no such folder.
    """
    path = str(root.resolve() / SOCKET_FILE)
    if len(os.fsencode(path)) <= _MAX_ADDRESS_BYTES:
        yield path
        return
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{SOCKET_FILE}"
    finally:
        os.close(folder)


async def serve(root: Path, do: Do) -> asyncio.Server:
    """Listen for deeds; the caller closes what it gets."""

    async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(_answered(line, do))
                await writer.drain()
        except (ConnectionError, ValueError):  # ValueError: a line that is too long
            pass
        finally:
            writer.close()

    (root / SOCKET_FILE).unlink(missing_ok=True)  # of a fleet that was killed
    with address(root) as path:
        return await asyncio.start_unix_server(answer_all, path, limit=MAX_LINE_BYTES)


class Hands:
    """The other end, for riders. Use it as an asynchronous context manager."""

    def __init__(self, root: Path) -> None:
        """Prepare for the fleet of ``root``."""
        self._root = root
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Facts]] = {}

    async def __aenter__(self) -> Self:
        with address(self._root) as path:
            self._reader, self._writer = await asyncio.open_unix_connection(path, limit=MAX_LINE_BYTES)
        self._task = asyncio.create_task(self._read_answers(), name="hands")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        self._writer.close()

    async def do(self, device: str, deed: str, **more: object) -> Facts:
        """Do something to a device and return the facts.

        Raises:
            DeedError: it could not be done, or the fleet is gone.
        """
        number = next(self._numbers)
        future: asyncio.Future[Facts] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        self._writer.write(msgspec.json.encode({"id": number, "device": device, "do": deed, **more}) + b"\n")
        if self._task.done():
            self._give_up()
        return await future

    async def _read_answers(self) -> None:
        try:
            while line := await self._reader.readline():
                self._settle(msgspec.json.decode(line))
        except ConnectionError:
            pass
        finally:
            self._give_up()

    def _settle(self, answer: Facts) -> None:
        future = self._waiting.pop(answer.pop("id"), None)
        if future is None or future.done():
            return
        if "error" in answer:
            future.set_exception(DeedError(answer["error"]))
        else:
            future.set_result(answer)

    def _give_up(self) -> None:
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(DeedError("the fleet has ended; see its log"))
        self._waiting.clear()


def ask(root: Path, deed: str, device: str = "", **more: object) -> Facts:
    """Do one deed and wait for the answer, for callers without a loop.

    Raises:
        DeedError: it could not be done.
        OSError: nobody listens there (yet).
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_ASK_TIMEOUT_S)
        with address(root) as path:
            connection.connect(path)
        connection.sendall(msgspec.json.encode({"id": 0, "device": device, "do": deed, **more}) + b"\n")
        answer: Facts = msgspec.json.decode(connection.makefile("rb").readline() or b'{"error": "the fleet has ended"}')
    if "error" in answer:
        raise DeedError(answer["error"])
    return answer


def _answered(line: bytes, do: Do) -> bytes:
    request: Facts = {}
    try:
        request = msgspec.json.decode(line, type=Facts)
        answer = do(request)
    except (DeedError, msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        answer = {"error": str(error) or repr(error)}
    return msgspec.json.encode({"id": request.get("id"), **answer}) + b"\n"
