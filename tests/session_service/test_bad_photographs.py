"""Files that strangers send as photographs: a problem soon, in bounded memory, and the service goes on."""

from __future__ import annotations

import asyncio
import io
import os
import resource
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
import qrcode

from session_service.labels.reader import PHOTO_MAX_BYTES
from tests.support.photos import picture_file, png_of_zeros
from tests.support.towns import Town

pytestmark = [
    pytest.mark.server,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("module_database_url", ["sqlite"], indirect=True),  # the database has no part in this
]

PATIENCE_S: Final = 10.0  # each takes less than one on a machine that has nothing else to do
LARGE_AT_ONCE: Final = 30
GROWTH_MAX_BYTES: Final = 400_000_000  # two photographs being decoded, and 64 MB that wait
NOISE: Final = np.random.default_rng(1).integers(0, 255, (480, 640), dtype=np.uint8)


def a_picture() -> bytes:
    return picture_file(NOISE, "JPEG", quality=80)


def a_code_that_is_no_label() -> bytes:
    file = io.BytesIO()
    qrcode.make("https://example.org/").save(file)
    return file.getvalue()


FILES: Final[dict[str, tuple[Callable[[], bytes], int, str]]] = {
    "no code": (a_picture, 422, "no-label-in-photo"),
    "another code": (a_code_that_is_no_label, 422, "no-label-in-photo"),
    "100 megapixels": (lambda: png_of_zeros(10_000, 10_000), 413, "photo-too-large"),
    "a line of 100 megapixels": (lambda: png_of_zeros(100_000_000, 1), 413, "photo-too-large"),
    "cut short": (lambda: a_picture()[:2_000], 422, "photo-unreadable"),
    "a PNG cut short": (lambda: png_of_zeros(2_000, 2_000)[:-500], 422, "photo-unreadable"),
    "PDF": (lambda: b"%PDF-1.7\n" + b"0" * 50_000, 415, "photo-format"),
    "HEIC": (lambda: b"\0\0\0\x18ftypheic" + b"\0" * 50_000, 415, "photo-format"),
    "SVG": (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><image href='/etc/passwd'/></svg>", 415, "photo-format"),
    "only a JPEG's beginning": (lambda: b"\xff\xd8\xff" + os.urandom(20_000), 422, "photo-unreadable"),
    "only a PNG's beginning": (lambda: b"\x89PNG\r\n\x1a\n" + os.urandom(20_000), 422, "photo-unreadable"),
    "only a WebP's beginning": (lambda: b"RIFF\0\0\0\0WEBP" + os.urandom(20_000), 422, "photo-unreadable"),
    "empty": (lambda: b"", 415, "photo-format"),
    "random": (lambda: os.urandom(50_000), 415, "photo-format"),
    "too long": (lambda: b"\xff\xd8\xff" + bytes(PHOTO_MAX_BYTES), 413, "photo-too-large"),
}


async def send(town: Town, file: bytes, **headers: str) -> httpx.Response:
    return await town.world.client.post("/v1/scans", files={"photo": ("photo.jpg", file)}, headers=headers)


def is_problem(answer: httpx.Response, status: int, kind: str) -> bool:
    return (answer.status_code, answer.headers["content-type"], answer.json()["type"]) == (
        status,
        "application/problem+json",
        f"urn:unlatch:problem:{kind}",
    )


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@contextmanager
def bounded_memory(growth_max_bytes: int = GROWTH_MAX_BYTES) -> Iterator[None]:
    """Watch this process, in which the service runs, and fail if it grows by more than it may at any moment."""
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.005):
            peak[0] = max(peak[0], resident_bytes())

    before = resident_bytes()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
    assert peak[0] - before < growth_max_bytes


@pytest.mark.parametrize("name", FILES)
async def test_a_file_that_is_no_photograph_of_a_label_gets_a_problem_soon(town: Town, name: str) -> None:
    make, status, kind = FILES[name]
    file = make()
    before, began_s = await town.contents(), time.perf_counter()

    with bounded_memory():
        answer = await send(town, file, **{"Idempotency-Key": "a-key-for-it"})

    assert is_problem(answer, status, kind), answer.text
    assert time.perf_counter() - began_s < PATIENCE_S
    assert len(answer.json()["detail"]) > 20
    assert await town.contents() == before


async def test_fifty_at_once_are_all_answered_and_others_are_served_meanwhile(town: Town) -> None:
    files = [a_picture(), png_of_zeros(10_000, 10_000), a_picture()[:2_000], png_of_zeros(4_000, 4_000), b"%PDF"]

    with bounded_memory():
        photographs = asyncio.gather(*(send(town, files[i % len(files)]) for i in range(50)))
        began_s = time.perf_counter()
        scan = await town.world.client.post("/v1/scans", json={"text": town.bike.device.label})
        scanned_s = time.perf_counter() - began_s
        answers = await photographs

    assert scan.status_code == 200
    assert scanned_s < PATIENCE_S
    assert {answer.status_code for answer in answers} == {413, 415, 422}


async def test_large_files_at_once_are_refused_rather_than_kept_in_memory(town: Town) -> None:
    file = b"\xff\xd8\xff" + bytes(PHOTO_MAX_BYTES - 1_000)
    body = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n' + file + b"\r\n--x--\r\n"
    headers = {
        "Content-Type": "multipart/form-data; boundary=x",
        "Content-Length": str(len(body)),
        "Idempotency-Key": "a-key-for-it",
    }

    async def in_pieces() -> AsyncIterator[bytes]:  # or the client would take the memory
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    with bounded_memory(growth_max_bytes=LARGE_AT_ONCE * PHOTO_MAX_BYTES * 2 // 3):
        answers = await asyncio.gather(
            *(town.world.client.post("/v1/scans", content=in_pieces(), headers=headers) for _ in range(LARGE_AT_ONCE))
        )

    assert {answer.status_code for answer in answers} <= {422, 503}


async def test_a_body_over_the_limit_is_refused_before_it_is_sent(town: Town) -> None:
    head = (
        b"POST /v1/scans HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        b"Content-Length: 11000000\r\n\r\n--x\r\n"
    )

    answer = await raw(town, head)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"urn:unlatch:problem:photo-too-large" in answer


async def test_a_body_without_a_length_is_refused_when_it_passes_the_limit(town: Town) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
        while sent < 10 * PHOTO_MAX_BYTES:
            sent += 100_000
            yield bytes(100_000)

    with bounded_memory():
        try:
            answer = await town.world.client.post(
                "/v1/scans", content=endless(), headers={"Content-Type": "multipart/form-data; boundary=x"}
            )
        except httpx.WriteError:
            pass  # the service has hung up in the middle, as it may
        else:
            assert is_problem(answer, 413, "photo-too-large"), answer.text


BODIES: Final[dict[str, bytes]] = {
    "another field": b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\nabc\r\n--x--\r\n',
    "a text": b'--x\r\nContent-Disposition: form-data; name="photo"\r\n\r\nabc\r\n--x--\r\n',
    "two": 2 * b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\nabc\r\n' + b"--x--\r\n",
    "many fields": b"".join(
        b'--x\r\nContent-Disposition: form-data; name="f%d"\r\n\r\nabc\r\n' % i for i in range(1_000)
    )
    + b"--x--\r\n",
    "no name": b"--x\r\nContent-Disposition: form-data\r\n\r\nabc\r\n--x--\r\n",
    "no disposition": b"--x\r\n\r\nabc\r\n--x--\r\n",
    "strange name": b'--x\r\nContent-Disposition: form-data; name="\xff\0"; filename="\xff\0/../a"\r\n\r\n'
    b"abc\r\n--x--\r\n",
    "endless header": b"--x\r\nContent-Disposition: " + b"a" * 100_000,
    "many headers": b"--x\r\n" + b"A: b\r\n" * 10_000 + b"\r\nabc\r\n--x--\r\n",
    "not ended": b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\nabc',
    "another boundary": b'--y\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\nabc\r\n--y--\r\n',
    "strange encoding": b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n'
    b"Content-Transfer-Encoding: base64\r\nContent-Type: \xff; charset=\xff\r\n\r\nabc\r\n--x--\r\n",
    "empty": b"",
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_is_no_proper_form_gets_a_problem(town: Town, name: str) -> None:
    for kind in ("multipart/form-data; boundary=x", "multipart/form-data; boundary=x; charset=nonsense"):
        answer = await town.world.client.post("/v1/scans", content=BODIES[name], headers={"Content-Type": kind})

        assert answer.status_code in {415, 422}, answer.text
        assert answer.headers["content-type"] == "application/problem+json"


async def raw(town: Town, request: bytes) -> bytes:
    """Send some bytes and return what comes back, without waiting for the connection's end."""
    address = urlsplit(town.world.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(request)
    async with asyncio.timeout(PATIENCE_S):
        answer = await reader.read(100_000)
        while b"}" not in answer and (more := await reader.read(100_000)):
            answer += more
    writer.close()
    return answer
