"""nginx as it is shipped, before a real service: streams, photographs, and instances that go away."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from broker.mosquitto.children import find_program
from broker.mosquitto.ports import LOOPBACK, free_port
from broker.mosquitto.supervisor import Mosquitto
from tests.support.photos import png_of_zeros
from tests.support.proxy import HOST, Nginx
from tests.support.world import Rider, World, world

PATIENCE_S = 20.0
PHOTOGRAPH_BYTES = 9_000_000
TOO_MANY_BYTES = 10_500_000


def is_missing() -> bool:
    try:
        find_program("nginx")
    except FileNotFoundError:
        return True
    return False


pytestmark = [
    pytest.mark.server,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(is_missing(), reason="Debian's nginx-light is not installed"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def made(
    mosquitto: Mosquitto, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("proxied")
    shutil.copy(sqlite_template, folder / "unlatch.db")
    url = f"sqlite:///{folder / 'unlatch.db'}"
    async with world(mosquitto, url, folder, public_host=HOST, trusted_proxies=LOOPBACK) as it:
        yield it


@pytest.fixture(scope="module")
def nginx(made: World) -> Iterator[Nginx]:
    # The first of the two instances is not there, as during an upgrade.
    with Nginx([free_port(), int(made.url.rpartition(":")[2])]) as proxy:
        yield proxy


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(nginx: Nginx) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=nginx.url, verify=nginx.context(), timeout=PATIENCE_S, trust_env=False) as it:
        yield it


async def test_nginx_finds_nothing_wrong(nginx: Nginx) -> None:
    said = Nginx([1, 2]).test()
    assert (said.returncode, "warn" in said.stderr) == (0, False), said.stderr
    assert not (nginx.directory / "error.log").read_text()


async def test_an_event_arrives_while_its_stream_is_open(made: World, client: httpx.AsyncClient) -> None:
    bike = await made.device()
    rider = await made.rider()
    through = Rider(client, rider.headers)
    session = (await through.start(bike.device.label)).json()
    assert session["state"] == "active"
    # One event, which is small: nginx hands a kilobyte and a half on even where it buffers.
    newest = await made.scalar(f"SELECT max(seq) FROM session_event WHERE session_id = '{session['id']}'")  # noqa: S608
    headers = {**rider.headers, "Last-Event-ID": str(newest - 1)}
    told: list[str] = []
    async with asyncio.timeout(PATIENCE_S):
        async with client.stream("GET", f"/v1/sessions/{session['id']}/events", headers=headers) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            async for line in answer.aiter_lines():
                if not line.startswith("data:"):
                    continue
                told.append(line)
                if '"state":"active"' in line:  # the ride goes on, so the stream is open and the event came by itself
                    bike.do("lock_by_hand", {})
    assert '"state":"closed"' in told[-1]


async def test_nine_megabytes_pass_and_more_are_refused_in_front(made: World, client: httpx.AsyncClient) -> None:
    rider = await made.rider()

    async def photograph(size: int) -> httpx.Response:
        picture = png_of_zeros(40, 40)
        form = {"photo": ("label.png", picture + bytes(size - len(picture)), "image/png")}
        return await client.post("/v1/scans", files=form, headers=rider.headers)

    passed = await photograph(PHOTOGRAPH_BYTES)
    assert passed.json()["type"] == "urn:unlatch:problem:no-label-in-photo", passed.text  # the service has looked at it
    refused = await photograph(TOO_MANY_BYTES)
    assert (refused.status_code, refused.headers["content-type"]) == (413, "application/problem+json")
    assert "smaller" in refused.json()["detail"]
    page = await client.post("/v1/riders", content=bytes(70_000), headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (413, "text/html")


async def test_riders_speak_tls_and_http_2_to_our_name_alone(nginx: Nginx, client: httpx.AsyncClient) -> None:
    with (
        closing(socket.create_connection((LOOPBACK, nginx.ports.https), timeout=PATIENCE_S)) as raw,
        nginx.context().wrap_socket(raw, server_hostname=HOST) as spoken,
    ):
        assert (spoken.selected_alpn_protocol(), spoken.version()) == ("h2", "TLSv1.3")
    with (
        closing(socket.create_connection((LOOPBACK, nginx.ports.https), timeout=PATIENCE_S)) as raw,
        pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"),
    ):
        nginx.context().wrap_socket(raw, server_hostname="elsewhere.example")
    answer = await client.get(f"http://{HOST}:{nginx.ports.http}/L/ABC")
    assert (answer.status_code, answer.headers["location"]) == (308, f"https://{HOST}/L/ABC")


async def test_what_is_for_this_machine_stays_here(client: httpx.AsyncClient) -> None:
    inside = [(await client.get(path)).status_code for path in ("/metrics", "/readyz", "/healthz")]
    assert inside == [404, 404, 200]


async def test_nothing_that_a_client_says_of_its_address_is_believed() -> None:
    heads: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(take, LOOPBACK, port := free_port()):
        with Nginx([free_port(), port]) as proxy:
            async with httpx.AsyncClient(base_url=proxy.url, verify=proxy.context(), trust_env=False) as asking:
                await asking.get("/", headers={"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"})
    [head] = heads
    assert b"X-Forwarded-For: 127.0.0.1\r\n" in head
    assert b"X-Forwarded-Proto: https\r\n" in head
    assert b"203.0.113.9" not in head


async def test_no_log_has_an_address_of_a_page_or_of_a_person(nginx: Nginx, client: httpx.AsyncClient) -> None:
    await client.get("/L/SECRETLABEL")

    async def lines() -> str:
        return (nginx.directory / "access.log").read_text()

    async with asyncio.timeout(PATIENCE_S):
        while "GET 404" not in (text := await lines()):
            await asyncio.sleep(0.1)
    assert "SECRETLABEL" not in text + (nginx.directory / "error.log").read_text()
    assert LOOPBACK + " " not in text


async def test_who_comes_while_no_instance_answers_is_told_to_come_again() -> None:
    with Nginx([free_port(), free_port()]) as proxy:
        async with httpx.AsyncClient(
            base_url=proxy.url, verify=proxy.context(), timeout=PATIENCE_S, trust_env=False
        ) as asking:
            api = await asking.post("/v1/sessions", json={})
            page = await asking.get("/", headers={"Accept": "text/html"})
    assert (api.status_code, api.headers["retry-after"], api.json()["status"]) == (503, "5", 503)
    assert (page.status_code, page.headers["content-type"]) == (503, "text/html")
