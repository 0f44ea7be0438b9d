"""HTTP for clients that are slow on purpose: uvicorn's protocol, with bounds on what it waits for and keeps.

uvicorn waits for a head or a body for as long as the client likes, and llhttp keeps a head of any length. A request
that comes whole in one packet, as nearly all do, costs nothing here: a timer runs only while something is missing.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_MAX_BYTES: Final = 32_768  # as much as nginx takes; ours have 1 KiB
HEAD_S: Final = 10.0  # for a request's head, from the first byte of the connection or of the request
BODY_S: Final = 10.0  # for a body's first byte, and for a hole in the radio
BODY_MIN_BYTES_S: Final = 8_000  # then the average of a poor 2G connection, as Apache's mod_reqtimeout counts
FRAMING_MAX: Final = 8  # bytes around each byte of a chunked body: the smallest chunks have six


class _Waiting(Enum):
    """What of a request the client still owes."""

    HEAD = auto()
    BODY = auto()
    NOTHING = auto()


class BoundedHttp(HttpToolsProtocol):
    """Closes a connection whose head is too long (431) or whose head or body comes too slowly (408).

    After an answer that did not need the body, such as 413, the client has ``body_s`` seconds to notice.
    """

    head_s: float = HEAD_S
    body_s: float = BODY_S

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - whatever uvicorn gives
        super().__init__(*args, **options)
        self._waiting = _Waiting.HEAD
        self._timer: asyncio.TimerHandle | None = None
        self._raw_bytes = self._body_bytes = 0
        self._body_since_s = 0.0
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a first request."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.head_s, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take some bytes and see whether they are enough, or too many."""
        if self._refused:
            return
        self._raw_bytes += len(data)
        super().data_received(data)
        if self._waiting is _Waiting.NOTHING and self._is_answered():
            self._waiting = _Waiting.HEAD  # blank lines between requests: they have ended uvicorn's own waiting
        if self._waiting is _Waiting.NOTHING:
            self._stop_timer()
        elif self._raw_bytes > HEAD_MAX_BYTES + (1 + FRAMING_MAX) * self._body_bytes:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._timer is None and not self._refused:
            wait_s = self.head_s if self._waiting is _Waiting.HEAD else self.body_s
            self._timer = self.loop.call_later(wait_s, self._check)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._waiting = _Waiting.HEAD
        self._raw_bytes = self._body_bytes = 0

    def on_headers_complete(self) -> None:
        """Let a request begin whose head is not too long."""
        length = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if length > HEAD_MAX_BYTES:
            self._raw_bytes = length  # of a head in one piece nothing is counted yet, and it gets an answer too
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            return
        self._waiting = _Waiting.BODY
        self._stop_timer()
        self._body_since_s, self._raw_bytes = self.loop.time(), 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._body_bytes += len(body)
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Owe nothing more."""
        self._waiting = _Waiting.NOTHING
        if not self._refused:
            super().on_message_complete()

    def _is_answered(self) -> bool:
        return self.cycle is None or bool(self.cycle.response_complete)

    def _check(self) -> None:
        """Give a body that comes fast enough more time, and end everything else."""
        self._timer = None
        if self._waiting is _Waiting.BODY and not self._is_answered():
            fair_s = self._body_since_s + self.body_s + self._body_bytes / BODY_MIN_BYTES_S
            if self.flow.read_paused:  # it is we who are slow
                fair_s = max(fair_s, self.loop.time() + self.body_s)
            if fair_s > self.loop.time():
                self._timer = self.loop.call_at(fair_s, self._check)
                return
        self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, status: HTTPStatus) -> None:
        """Say why, unless an answer is under way or nothing has been asked, and hang up."""
        self._refused = True
        self._stop_timer()
        answering = self.cycle is not None and (self.cycle.response_started or self._waiting is not _Waiting.BODY)
        if not answering and self._raw_bytes + self._body_bytes:
            line = f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            self.transport.write(line.encode() + b"Connection: close\r\nContent-Length: 0\r\n\r\n")
        self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
