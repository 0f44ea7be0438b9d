"""Clients that are slow on purpose, or send heads without end, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from broker.mosquitto.ports import LOOPBACK, free_port
from session_service.bounded_http import HEAD_MAX_BYTES, BoundedHttp
from tests.support.world import until

pytestmark = pytest.mark.server

PATIENCE_S = 0.3  # of the server under test
LONG_S = 10.0  # of the test
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Impatient(BoundedHttp):
    head_s = PATIENCE_S
    body_s = PATIENCE_S


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the length of the body; /refused does so without reading it, /slow after a while."""
    length = 0
    if scope["path"] == "/slow":
        await asyncio.sleep(3 * PATIENCE_S)
    if scope["path"] != "/refused":
        while (message := await receive())["type"] == "http.request":
            length += len(message["body"])
            if not message.get("more_body"):
                break
    content = str(length).encode()
    headers = [(b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


@asynccontextmanager
async def connection() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    port = free_port()
    config = uvicorn.Config(app, host=LOOPBACK, port=port, http=Impatient, log_level="critical", timeout_keep_alive=1)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve())
    await until(lambda: asyncio.sleep(0, server.started), bool)
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        yield reader, writer
    finally:
        writer.close()
        server.should_exit = True
        await serving


async def all_of(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the server hangs up."""
    async with asyncio.timeout(LONG_S):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


async def answer(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(LONG_S):
        head = await reader.readuntil(b"\r\n\r\n")
        return (
            head.split()[1]
            + b" "
            + await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
        )


async def dribble(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Send a piece again and again, always before the server's patience for one would end."""
    while not writer.is_closing():
        writer.write(piece)
        await asyncio.sleep(PATIENCE_S / 5)


async def test_a_connection_that_says_nothing_is_closed() -> None:
    async with connection() as (reader, _):
        assert await all_of(reader) == b""


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"", b"\r\n"),
        (b"GET / HTTP/1.1\r\n", b"A: b\r\n"),
        (b"GET / HTTP/1.1\r\nA: ", b"b"),
        (GET, b"\r\n"),
        (GET + b"GET /", b"a"),
    ],
    ids=["blank lines", "fields", "one field", "blank lines after a request", "a second request"],
)
async def test_a_head_that_comes_slowly_ends(begin: bytes, piece: bytes) -> None:
    async with connection() as (reader, writer):
        writer.write(begin)
        dribbling = asyncio.create_task(dribble(writer, piece))
        said = await all_of(reader)
        dribbling.cancel()
        assert said.count(b"HTTP/1.1 200") == begin.count(GET)


async def test_a_body_that_comes_slowly_ends_with_408() -> None:
    async with connection() as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        dribbling = asyncio.create_task(dribble(writer, b"a"))
        assert (await all_of(reader)).startswith(b"HTTP/1.1 408 ")
        dribbling.cancel()


async def test_a_body_that_stops_half_way_ends_with_408() -> None:
    async with connection() as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
        assert (await all_of(reader)).startswith(b"HTTP/1.1 408 ")


async def test_a_body_at_a_fair_speed_has_the_time_that_it_needs() -> None:
    async with connection() as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n")
        for _ in range(10):  # 1.2 s, four times the patience
            writer.write(b"a" * 2_000)
            await asyncio.sleep(0.4 * PATIENCE_S)
        assert await answer(reader) == b"200 20000"


async def test_an_answer_that_takes_long_is_waited_for() -> None:
    async with connection() as (reader, writer):
        writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await answer(reader) == b"200 0"


async def test_requests_follow_each_other_on_one_connection() -> None:
    async with connection() as (reader, writer):
        for _ in range(4):
            writer.write(GET)
            assert await answer(reader) == b"200 0"
            await asyncio.sleep(PATIENCE_S / 2)


async def test_who_goes_on_sending_after_an_answer_is_cut_off() -> None:
    async with connection() as (reader, writer):
        writer.write(b"POST /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
        dribbling = asyncio.create_task(dribble(writer, b"a" * 10_000))
        said = await all_of(reader)  # it ends; what is still under way then may cost the client the answer
        assert said[:12] in {b"HTTP/1.1 200", b""}
        dribbling.cancel()


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nA: " + b"b" * 2 * HEAD_MAX_BYTES + b"\r\n\r\n",
        b"GET /" + b"b" * 2 * HEAD_MAX_BYTES + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * HEAD_MAX_BYTES,
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + b"A: b\r\n" * HEAD_MAX_BYTES,
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"a" * 2 * HEAD_MAX_BYTES,
    ],
    ids=["one field", "the address", "many fields", "many fields after a body", "a chunk's extension"],
)
async def test_a_head_that_is_too_long_gets_431(head: bytes) -> None:
    async with connection() as (reader, writer):
        for start in range(0, len(head), 10_000):
            writer.write(head[start : start + 10_000])
            await asyncio.sleep(0)
        said = await all_of(reader)
        # What is still under way when the server hangs up may cost the client the answer, never the server the memory.
        assert said == b"" or said.startswith(b"HTTP/1.1 431 ")


async def test_a_head_that_is_too_long_gets_431_though_it_comes_at_once() -> None:
    async with connection() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * HEAD_MAX_BYTES + b"\r\n\r\n")
        assert (await all_of(reader)).startswith(b"HTTP/1.1 431 ")
