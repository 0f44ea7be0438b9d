"""A small HTTP/1.1 client for thousands of phones in one process.

httpx spent 18 ms of processor time a ride with a street full of open connections, because its pool looks at each of
them for every request. This one keeps idle connections in a stack and parses in C; it knows plain HTTP, keep-alive
and streams, and nothing else.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Self, cast
from urllib.parse import urlsplit

import httptools

from simulators.errors import NoAnswerError

UNREAD_LIMIT: Final = 1_000  # pieces of a stream that nobody has read; a session has a dozen events

Address = tuple[str, int]


@dataclass(slots=True)
class Answer:
    """What came back. Header names are in lower case; ``body`` is empty for a stream."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def ok(self) -> bool:
        """Whether it is a success."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Request:
    """A request to an absolute ``http://`` address; sent again, it is the very same."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def address(self) -> Address:
        """Host and port."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 80

    def encoded(self) -> bytes:
        """Return it as it goes on the wire."""
        parts = urlsplit(self.url)
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        lines = [f"{self.method} {target} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


class Client:
    """Connections to any number of servers, kept open between requests."""

    def __init__(self, timeout_s: float) -> None:
        """Give up on an answer after ``timeout_s``; a stream may be silent for as long as it likes."""
        self._timeout_s = timeout_s
        self._idle: defaultdict[Address, list[_Connection]] = defaultdict(list)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        for connections in self._idle.values():
            for connection in connections:
                connection.close()

    async def send(self, request: Request) -> Answer:
        """Return the answer.

        Raises:
            NoAnswerError: none came.
        """
        connection = await self._connected(request.address)
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await connection.ask(request)
                answer.body = b"".join([piece async for piece in connection.pieces()])
        except BaseException as error:
            connection.close()
            if isinstance(error, TimeoutError):
                msg = f"{request.method} {request.url}: no answer within {self._timeout_s:g} s"
                raise NoAnswerError(msg) from error
            raise
        self._put_back(request.address, connection)
        return answer

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[tuple[Answer, AsyncIterator[bytes]]]:
        """Yield the answer's head, and its body piece by piece as it comes.

        Raises:
            NoAnswerError: the connection ended before the stream did.
        """
        connection = await self._connected(request.address)
        try:
            yield await connection.ask(request), connection.pieces()
        finally:
            if connection.complete:
                self._put_back(request.address, connection)
            else:
                connection.close()

    async def _connected(self, address: Address) -> _Connection:
        idle = self._idle[address]
        while idle:
            connection = idle.pop()
            if not connection.closed:
                return connection
        try:
            _, fresh = await asyncio.get_running_loop().create_connection(_Connection, *address)
        except OSError as error:
            msg = f"{address[0]}:{address[1]} does not answer: {error}"
            raise NoAnswerError(msg) from error
        return fresh

    def _put_back(self, address: Address, connection: _Connection) -> None:
        if not connection.closed:
            self._idle[address].append(connection)


class _Connection(asyncio.Protocol):
    """One connection, with at most one request under way."""

    def __init__(self) -> None:
        self.complete = True
        self.closed = False
        self._parser = httptools.HttpResponseParser(self)
        self._answer = Answer()
        self._head: asyncio.Future[Answer] | None = None
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def ask(self, request: Request) -> Answer:
        """Send a request; return the answer as soon as its head is there."""
        if self.closed:
            msg = "the server has closed the connection"
            raise NoAnswerError(msg)
        self.complete = False
        self._pieces = asyncio.Queue(UNREAD_LIMIT)  # what was left unread of the answer before is not for this one
        self._answer = Answer()
        self._head = asyncio.get_running_loop().create_future()
        self._transport.write(request.encoded())
        return await self._head

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body's pieces."""
        while (piece := await self._pieces.get()) is not None:
            yield piece
        if not self.complete:
            msg = "the connection ended within an answer"
            raise NoAnswerError(msg)

    def close(self) -> None:
        """Hang up."""
        self.closed = True
        self._transport.abort()

    # asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class; both set TCP_NODELAY

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, asyncio.QueueFull) as error:
            self._end(f"not an answer: {error!r}")
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if not self.complete:
            self._end(f"the connection was lost: {exc}")

    # httptools calls these

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()
        if self._head is not None and not self._head.done():
            self._head.set_result(self._answer)

    def on_body(self, body: bytes) -> None:
        self._pieces.put_nowait(body)

    def on_message_complete(self) -> None:
        self.complete = True
        self._pieces.put_nowait(None)
        if not self._parser.should_keep_alive():
            self.close()

    def _end(self, why: str) -> None:
        if self._head is not None and not self._head.done():
            self._head.set_exception(NoAnswerError(why))
        elif not self._pieces.full():
            self._pieces.put_nowait(None)
