"""Scripts, styles and pictures: what is sent, what is kept, and that no path leads out of the table of them."""

from __future__ import annotations

import gzip
import hashlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from session_service import problems
from session_service.errors import SetupError
from session_service.headers import SecurityHeaders
from session_service.web import static_files, vendor_files
from session_service.web.static_files import ABSENT, FILE_MAX_BYTES, FILES_MAX, address, read, takes_gzip

SCRIPT: Final = b"export const answer = 42;\n" * 100
PICTURE: Final = b"\x89PNG" + bytes(500)
WASM: Final = b"\0asm" + bytes(500)


@pytest.fixture
def static(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "icons").mkdir(parents=True)
    (folder / "page.js").write_bytes(SCRIPT)
    (folder / "icons" / "free.png").write_bytes(PICTURE)
    (folder / ".editor.swp").write_bytes(b"not for anybody")
    return folder


@pytest.fixture
def vendor(tmp_path: Path) -> Path:
    folder = tmp_path / "vendor"
    folder.mkdir()
    (folder / "zxing-reader.wasm").write_bytes(WASM)
    (folder / "leaflet-LICENSE.txt").write_text("Anybody may.")
    return folder


@pytest_asyncio.fixture
async def client(static: Path, vendor: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    files = read(static, vendor, static.parent / "built")
    monkeypatch.setattr(static_files, "files", lambda: files)
    app = FastAPI()
    app.include_router(static_files.router)
    problems.install(app)
    transport = httpx.ASGITransport(SecurityHeaders(app, https=True))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as made:
        yield made


async def test_an_address_holds_the_hash_of_the_content_and_leads_to_it(client: httpx.AsyncClient) -> None:
    where = address("page.js")

    answer = await client.get(where, headers={"Accept-Encoding": "identity"})

    assert where == f"/static/{hashlib.sha256(SCRIPT).hexdigest()[:16]}/page.js"
    assert answer.status_code == 200
    assert answer.content == SCRIPT
    assert answer.headers["content-length"] == str(len(SCRIPT))
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("page.js", "text/javascript; charset=utf-8"),
        ("icons/free.png", "image/png"),
        ("zxing-reader.wasm", "application/wasm"),
    ],
)
async def test_browsers_keep_a_file_for_good_and_guess_nothing(
    client: httpx.AsyncClient, name: str, media_type: str
) -> None:
    answer = await client.get(address(name))

    assert answer.headers.get_list("content-type") == [media_type]
    assert answer.headers.get_list("cache-control") == ["public, max-age=31536000, immutable"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


async def test_who_takes_gzip_gets_it_and_caches_are_told(client: httpx.AsyncClient) -> None:
    async with client.stream("GET", address("page.js"), headers={"Accept-Encoding": "br, gzip"}) as answer:
        sent = b"".join([part async for part in answer.aiter_raw()])
    plain = await client.get(address("page.js"), headers={"Accept-Encoding": "br"})

    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert answer.headers["content-length"] == str(len(sent))
    assert len(sent) < len(SCRIPT) / 10
    assert gzip.decompress(sent) == plain.content == SCRIPT


async def test_what_is_packed_already_is_sent_as_it_is(client: httpx.AsyncClient) -> None:
    answer = await client.get(address("icons/free.png"), headers={"Accept-Encoding": "gzip"})

    assert answer.content == PICTURE
    assert "content-encoding" not in answer.headers
    assert "vary" not in answer.headers


@pytest.mark.parametrize(
    ("words", "takes"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5, br", True),
        ("br;q=1.0, x-gzip", True),
        ("", False),
        ("br, identity", False),
        ("gzip;q=0", False),
        ("gzip ; q=0.000", False),
        ("gzippo", False),
    ],
)
def test_gzip_is_for_who_asks_for_it(words: str, takes: bool) -> None:  # noqa: FBT001
    assert takes_gzip(words) is takes


@pytest.mark.parametrize(
    "path",
    [
        "/static/0123456789abcdef/page.js",  # another release's
        "/static/{digest}/other.js",
        "/static/{digest}/free.png",
        "/static/{digest}/%2e%2e/static_files.py",
        "/static/{digest}/..%2f..%2fsettings.py",
        "/static/{digest}/%2Fetc%2Fpasswd",
        "/static/{digest}/page.js%00",
        "/static/{digest}/.editor.swp",
        "/static/{digest}/leaflet-LICENSE.txt",
        "/static/{digest}/",
        "/static/",
        f"/static/{ABSENT}/leaflet.js",
    ],
)
async def test_what_is_not_in_the_table_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    digest = address("page.js").split("/")[2]
    raw = httpx.URL(scheme="http", host="service", raw_path=path.format(digest=digest).encode())

    answer = await client.get(raw)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"


async def test_a_file_of_another_release_is_a_problem_that_says_what_to_do(client: httpx.AsyncClient) -> None:
    problem = (await client.get("/static/0123456789abcdef/page.js")).json()

    assert problem["type"] == "urn:unlatch:problem:not-found"
    assert "Load the page again" in problem["detail"]


@pytest.mark.usefixtures("client")
def test_a_name_that_is_none_is_the_pages_mistake() -> None:
    with pytest.raises(KeyError, match=r"other\.js"):
        address("other.js")


async def test_without_vendor_files_pages_go_on_and_the_log_says_what_to_do(
    client: httpx.AsyncClient, static: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        files = read(static, static / "nothing", static / "nothing")

    assert set(files) == {"page.js", "icons/free.png"}
    [line] = caplog.messages
    assert "make setup" in line
    assert all(name in line for name in vendor_files.SERVED)
    assert address("leaflet.js") == f"/static/{ABSENT}/leaflet.js"
    assert (await client.get(address("leaflet.js"))).status_code == 404


def test_what_is_too_large_is_not_kept(static: Path, vendor: Path) -> None:
    (static / "page.js").write_bytes(bytes(FILE_MAX_BYTES))
    read(static, vendor, static.parent / "built")

    (static / "page.js").write_bytes(bytes(FILE_MAX_BYTES + 1))
    with pytest.raises(SetupError, match="2000000 bytes"):
        read(static, vendor, static.parent / "built")


def test_too_many_files_are_a_mistake(static: Path, vendor: Path) -> None:
    for number in range(FILES_MAX - len(read(static, vendor, static.parent / "built"))):
        (static / f"{number}.css").write_text("a{}")
    read(static, vendor, static.parent / "built")

    (static / "more.css").write_text("a{}")
    with pytest.raises(SetupError, match="200 files"):
        read(static, vendor, static.parent / "built")


def test_a_kind_that_nobody_named_is_not_served(static: Path, vendor: Path) -> None:
    (static / "notes.txt").write_text("to do")

    with pytest.raises(SetupError, match=r"notes\.txt is of no kind that is served"):
        read(static, vendor, static.parent / "built")


def test_our_files_do_not_take_the_place_of_a_vendors(static: Path, vendor: Path) -> None:
    (static / "leaflet.js").write_text("alert(1)")

    with pytest.raises(SetupError, match=r"leaflet\.js"):
        read(static, vendor, static.parent / "built")


def test_the_service_has_its_own_files_and_the_vendors() -> None:
    assert vendor_files.SERVED.keys() <= static_files.files().keys()
    assert all(file.content for file in static_files.files().values())
    scanner = static_files.files()["zxing-reader.wasm"]
    assert scanner.content.startswith(b"\0asm")
    assert scanner.compressed is not None
    assert len(scanner.compressed) < 450_000
