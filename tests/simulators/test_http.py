"""The phones' HTTP client against servers that behave and servers that do not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from simulators.errors import NoAnswerError
from simulators.http import Client, Request

pytestmark = pytest.mark.server

TIMEOUT_S = 5.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Thing: a\r\n\r\nok"
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[str]:
    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


class Scripted:
    """Answers each request with the next of ``answers``; ``None`` hangs up instead. Keeps what it heard."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers = list(answers)
        self.heard: list[bytes] = []
        self.connections = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.heard.append(head + await reader.readexactly(length))
                answer = self.answers.pop(0)
                if answer is None:
                    break
                writer.write(answer)
        except asyncio.IncompleteReadError:
            pass
        writer.close()


async def test_an_answer_has_status_headers_and_body() -> None:
    script = Scripted(OK)
    async with server(script) as url, Client(TIMEOUT_S) as client:
        answer = await client.send(Request("POST", f"{url}/a?b=c", {"X-Mine": "1"}, b"hello"))
    assert (answer.status, answer.headers["x-thing"], answer.body, answer.ok) == (200, "a", b"ok", True)
    assert script.heard[0].startswith(b"POST /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:")
    assert script.heard[0].endswith(b"X-Mine: 1\r\n\r\nhello")


async def test_one_connection_serves_one_request_after_the_other() -> None:
    script = Scripted(OK, OK, OK)
    async with server(script) as url, Client(TIMEOUT_S) as client:
        for _ in range(3):
            await client.send(Request("GET", url))
    assert script.connections == 1


async def test_a_connection_that_the_server_has_closed_is_not_used_again() -> None:
    last = OK.replace(b"X-Thing: a", b"Connection: close")
    script = Scripted(last, OK)
    async with server(script) as url, Client(TIMEOUT_S) as client:
        await client.send(Request("GET", url))
        assert (await client.send(Request("GET", url))).ok
    assert script.connections == 2


async def test_a_stream_comes_piece_by_piece() -> None:
    async with (
        server(Scripted(STREAM)) as url,
        Client(TIMEOUT_S) as client,
        client.stream(Request("GET", url)) as (answer, pieces),
    ):
        assert answer.status == 200
        assert [piece async for piece in pieces] == [b"first", b"second"]


async def test_what_was_left_unread_of_a_stream_is_not_taken_for_the_next_answer() -> None:
    script = Scripted(STREAM, OK)
    async with server(script) as url, Client(TIMEOUT_S) as client:
        async with client.stream(Request("GET", url)) as (_, pieces):
            assert await anext(pieces) == b"first"
        assert (await client.send(Request("GET", url))).body == b"ok"
    assert script.connections == 1


@pytest.mark.parametrize("answer", [None, OK[:20], OK[:-1], b"nonsense\r\n\r\n"])
async def test_an_answer_that_does_not_come_whole_is_no_answer(answer: bytes | None) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer or b"")
        writer.close()

    async with server(serve) as url, Client(TIMEOUT_S) as client:
        with pytest.raises(NoAnswerError):
            await client.send(Request("GET", url))


async def test_a_server_that_says_nothing_is_given_up() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with server(serve) as url, Client(0.05) as client:
        with pytest.raises(NoAnswerError, match="no answer within"):
            await client.send(Request("GET", url))


async def test_nobody_there_is_no_answer() -> None:
    async with server(Scripted()) as url:
        pass
    async with Client(TIMEOUT_S) as client:
        with pytest.raises(NoAnswerError, match="does not answer"):
            await client.send(Request("GET", url))
