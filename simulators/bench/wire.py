"""A bare HTTP/1.1 client on one kept connection, so that the measuring costs little of what is measured."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import msgspec

Json = dict[str, Any]
CONTENT_LENGTH: Final = b"content-length:"


class Wire:
    """One connection; one request at a time. Use it as an asynchronous context manager."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    async def ask(self, method: str, path: str, body: Json | None = None, headers: str = "") -> tuple[int, Json]:
        """Send one request and return status and body; ``headers`` are whole lines, each ending in CR LF."""
        self._send(method, path, b"" if body is None else msgspec.json.encode(body), headers)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        status = int(answer.split(b" ", 2)[1])
        lengths = [line for line in answer.lower().split(b"\r\n") if line.startswith(CONTENT_LENGTH)]
        length = int(lengths[0][len(CONTENT_LENGTH) :]) if lengths else 0
        payload = await self._reader.readexactly(length)
        return status, msgspec.json.decode(payload) if payload else {}

    async def follow(self, path: str, headers: str = "") -> bytes:
        """Read a stream of server-sent events to its end and return all of it."""
        self._send("GET", path, b"", headers)
        await self._reader.readuntil(b"\r\n\r\n")
        stream = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            stream += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)
        return stream

    def _send(self, method: str, path: str, content: bytes, headers: str) -> None:
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\n{headers}"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        self._writer.write(head.encode() + content)
