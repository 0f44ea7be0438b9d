"""One HTTP request by hand, as no client library would send it, over a connection of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

PATIENCE_S: Final = 20.0  # for what takes milliseconds; this machine is shared
ANSWER_MAX_BYTES: Final = 1_000_000

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Answer:
    """What came back; without a status if the service hung up."""

    status: int | None
    head: bytes
    body: bytes

    @property
    def kind(self) -> str:
        """The status, and the type of the problem if it is one."""
        if b"application/problem+json" not in self.head:
            return str(self.status)
        return f"{self.status} {json.loads(self.body)['type'].rpartition(':')[2]}"

    def json(self) -> Any:
        """Return the body."""
        return json.loads(self.body)


async def ask(url: str, line: bytes, headers: Headers, body: bytes = b"") -> Answer:
    """Send a request line, headers and body as they are, and return what comes until the service hangs up."""
    address = urlsplit(url)
    own = [(b"Host", address.netloc.encode()), (b"Connection", b"close")]
    if body:
        own.append((b"Content-Length", str(len(body)).encode()))
    head = b"".join(name + b": " + value + b"\r\n" for name, value in (*own, *headers))
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(line + b" HTTP/1.1\r\n" + head + b"\r\n" + body)
        async with asyncio.timeout(PATIENCE_S):
            came = await reader.read(ANSWER_MAX_BYTES)
            while more := await reader.read(ANSWER_MAX_BYTES):
                came += more
    except ConnectionError:
        came = b""
    finally:
        writer.close()
    return _answer(came)


def _answer(came: bytes) -> Answer:
    head, _, body = came.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    status = int(words[1]) if len(words) > 1 else None
    return Answer(status, head.lower(), _unchunked(body) if b"transfer-encoding: chunked" in head.lower() else body)


def _unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        whole, body = whole + rest[:length], rest[length + 2 :]
    return whole
