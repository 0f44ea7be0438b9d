"""Headers that strangers write: `Prefer`, `Last-Event-ID`, cookies, `Origin` and tokens, as bytes over the wire."""

from __future__ import annotations

import random
from typing import Final

import pytest

from tests.support import mutations
from tests.support.fuzzing import MIB, Area, Fuzzing
from tests.support.towns import Town
from tests.support.wire import Answer, ask

pytestmark = [
    pytest.mark.server,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.parametrize("module_database_url", ["sqlite"], indirect=True),  # the database has no part in this
]

BATCH: Final = 200  # requests between two looks at the database
# Service and client in one process: connections and their buffers, and limits that remember addresses and callers.
GROWTH_MAX_BYTES: Final = 64 * MIB
PREFERS: Final = ("wait=0", "wait=1, respond-async", 'wait="0"', "handling=lenient; wait=0", "return=minimal")
EVENT_IDS: Final = ("0", "1", "3", "999999999", "9999999999", "-1", "\u0663")
ORIGINS: Final = (
    "https://evil.example",
    "null",
    "http://127.0.0.1",
    "http://127.0.0.1:1",
    "file://",
    "//",
    "http://[::1",
)
SITES: Final = ("same-origin", "same-site", "cross-site", "none", "")
Headers = list[tuple[bytes, bytes]]


def written(chance: random.Random, value: str) -> bytes:
    """Return a header's value, half of the time not as it was; never with a line's end, which would end the header."""
    if chance.random() < 0.5:
        value = mutations.text_of(chance, value, chance.choice(PREFERS))
    content = value.encode(chance.choice(("latin-1", "utf-8")), errors="replace")
    if chance.random() < 0.2:
        content = mutations.bytes_of(chance, content)
    return content.replace(b"\r", b" ").replace(b"\n", b" ")


def known(town: Town) -> tuple[str, str]:
    """Return the service's own origin, and the token of its one rider."""
    return town.world.url, town.rider.headers["Authorization"].partition(" ")[2]


async def a_stream(chance: random.Random, town: Town) -> Answer:
    """Follow a session that is over from a strange place on."""
    _, token = known(town)
    headers = [
        (b"Authorization", b"Bearer " + token.encode()),
        (b"Last-Event-ID", written(chance, chance.choice(EVENT_IDS))),
    ]
    if chance.random() < 0.1:
        headers.append((b"Last-Event-ID", b"1"))
    return await ask(town.world.url, f"GET /v1/sessions/{town.ids['session_id']}/events".encode(), headers)


async def a_start(chance: random.Random, town: Town) -> Answer:
    """Start with a label that is none, and a strange wish to wait."""
    _, token = known(town)
    headers = [
        (b"Authorization", b"Bearer " + token.encode()),
        (b"Content-Type", b"application/json"),
        (b"Prefer", written(chance, chance.choice(PREFERS))),
    ]
    return await ask(town.world.url, b"POST /v1/sessions", headers, b'{"label": "none"}')


async def a_finish(chance: random.Random, town: Town) -> Answer:
    """Finish a session that is over, waiting strangely."""
    _, token = known(town)
    headers = [(b"Authorization", b"Bearer " + token.encode()), (b"Prefer", written(chance, chance.choice(PREFERS)))]
    path = f"POST /v1/sessions/{town.ids['session_id']}/finish".encode()
    return await ask(town.world.url, path, [*headers, (b"Content-Type", b"application/json")], b"{}")


async def a_token(chance: random.Random, town: Town) -> Answer:
    """Look into the wallet with a token or a cookie that is altered."""
    _, token = known(town)
    altered = mutations.bytes_of(chance, token.encode()).replace(b"\r", b"").replace(b"\n", b"")
    if altered.strip() in {token.encode(), b""} or altered.split(b";")[0].strip(b' "\t') == token.encode():
        altered = b"0" + token.encode()
    in_cookie = (b"Cookie", b"unlatch=" + altered)
    answer = await ask(
        town.world.url, b"GET /v1/wallet", [chance.choice((in_cookie, (b"Authorization", b"Bearer " + altered)))]
    )
    assert answer.status != 200, altered
    return answer


async def a_page(chance: random.Random, town: Town) -> Answer:
    """Revoke the rider's tokens with the rider's own cookie, from a page that is not shown to be ours."""
    own, token = known(town)
    origin, site = written(chance, chance.choice((*ORIGINS, own, own + "/"))), written(chance, chance.choice(SITES))
    headers: Headers = [(b"Cookie", b"unlatch=" + token.encode()), (b"Content-Type", b"application/json")]
    if chance.random() < 0.8:
        headers.append((b"Origin", origin))
    if chance.random() < 0.5:
        headers.append((b"Sec-Fetch-Site", site))
    answer = await ask(town.world.url, b"POST /v1/wallet/top-ups", headers, b'{"amount_minor": 0}')
    given = dict(headers)
    ours = given.get(b"Origin", own.encode()).strip(b" \t") == own.encode()
    ours = ours and given.get(b"Sec-Fetch-Site", b"same-origin").strip(b" \t") == b"same-origin"
    ours = ours and (b"Origin" in given or b"Sec-Fetch-Site" in given)
    assert ours or answer.status in {400, 403}, (headers, answer)
    return answer


WAYS: Final = (a_stream, a_start, a_finish, a_token, a_page)


async def test_strange_headers_get_an_answer_and_change_nothing(town: Town) -> None:
    before = await town.contents()
    with Fuzzing(Area.HEADERS, growth_max_bytes=GROWTH_MAX_BYTES) as run:
        for chance in run:
            answer = await chance.choice(WAYS)(chance, town)
            assert answer.status is None or answer.status < 500, answer
            run.outcomes[answer.kind] += 1
            if run.number % BATCH == BATCH - 1:
                assert await town.contents() == before
        assert await town.contents() == before
        run.saw("200", "401 not-signed-in", "403 cross-site-request", "422 malformed-label", "422 malformed-request")
