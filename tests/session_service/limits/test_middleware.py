"""Who is counted, for what, and what one too many is answered."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from session_service.errors import TooManyRequestsError
from session_service.limits import table
from session_service.limits.counting import Limits
from session_service.limits.middleware import Limited, address_of
from session_service.limits.table import ROUTES, Limit


@dataclass
class Service:
    """An application that answers ``status``, and waits for ``go`` where it is told to."""

    status: int = 200
    go: asyncio.Event = field(default_factory=asyncio.Event)
    factor: float = 1.0
    now_s: float = 0.0

    def __post_init__(self) -> None:
        self.go.set()
        self.limited = Limited(self._app, Limits(self.factor, lambda: self.now_s))

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.go.wait()
        await PlainTextResponse("", self.status)(scope, receive, send)

    async def ask(
        self, method: str, path: str, address: str = "198.51.100.7", token: str | None = None, **headers: str
    ) -> httpx.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            given["Authorization"] = f"Bearer {token}"
        transport = httpx.ASGITransport(self.limited, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.request(method, path, headers=given)

    async def times(self, most: int, method: str, path: str, **who: str) -> int:
        """Return how many requests are let in, of ``most``."""
        for number in range(most):
            if (await self.ask(method, path, **who)).status_code == 429:
                return number
        return most


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
async def test_each_route_ends_at_its_narrowest_limit(route: tuple[str, str]) -> None:
    amounts = [limit.amount for limit in ROUTES[route]]
    assert await Service().times(max(amounts) + 1, *route, token="a token") == min(amounts)


@pytest.mark.parametrize("route", [route for route, limits in ROUTES.items() if any(x.failed_cost > 1 for x in limits)])
async def test_what_fails_costs_more(route: tuple[str, str]) -> None:
    limit = ROUTES[route][0]
    let_in = await Service(status=403).times(limit.amount, *route)
    assert let_in == -(-limit.amount // limit.failed_cost)


@pytest.mark.parametrize("status", [402, 409])
async def test_what_is_refused_for_another_reason_does_not(status: int) -> None:
    assert await Service(status=status).times(999, "POST", "/v1/sessions", token="a") == table.STARTS.amount


@pytest.mark.parametrize(
    ("form", "operation"),
    [
        ("/scan/number", "/v1/scans/number"),
        ("/scan/photo", "/v1/scans"),
        ("/wallet/top-ups", "/v1/wallet/top-ups"),
        ("/wallet/refunds", "/v1/wallet/refunds"),
    ],
)
def test_a_pages_form_is_limited_as_what_it_does(form: str, operation: str) -> None:
    assert ROUTES["POST", form] == ROUTES["POST", operation]
    assert ROUTES["POST", form]


async def test_label_pages_are_scans() -> None:
    assert await Service(status=403).times(999, "GET", "/L/ABC/DEF") == 30


async def test_everything_together_is_bounded_too() -> None:
    service = Service(factor=0.01)
    assert await service.times(999, "GET", "/v1/wallet", token="a") == 60
    assert await service.times(99, "GET", "/healthz") == 99


async def test_one_too_many_is_a_problem_that_says_when_to_come_again() -> None:
    service = Service(now_s=30.0)
    await service.times(999, "POST", "/v1/sessions", token="a")
    answer = await service.ask("POST", "/v1/sessions", token="a")
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["type"], problem["limit"]) == ("urn:unlatch:problem:too-many-requests", "starts")
    assert int(answer.headers["retry-after"]) == problem["retry_after_s"]
    service.now_s += problem["retry_after_s"]
    assert (await service.ask("POST", "/v1/sessions", token="a")).status_code == 200


async def test_one_riders_requests_do_not_count_for_another() -> None:
    service = Service()
    assert await service.times(999, "POST", "/v1/sessions", token="a") == table.STARTS.amount
    assert (await service.ask("POST", "/v1/sessions", token="b")).status_code == 200


@pytest.mark.parametrize("name", ["unlatch", "__Host-unlatch"])
async def test_a_riders_cookie_counts_whatever_stands_beside_it(name: str) -> None:
    service = Service()
    cookies = [f"a{number}=b; {name}=token; c={number}" for number in range(table.STARTS.amount + 1)]
    answers = [await service.ask("POST", "/v1/sessions", Cookie=cookie) for cookie in cookies]
    assert [answer.status_code for answer in answers] == [200] * table.STARTS.amount + [429]


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:198.51.100.7", "198.51.100.7", True),
        ("198.51.100.7", "198.51.100.8", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("2001:db8:::nonsense", "2001:db8:::other", True),
    ],
)
def test_addresses_are_counted_by_the_customer(first: str, second: str, same: bool) -> None:  # noqa: FBT001
    assert (address_of({"client": (first, 1)}) == address_of({"client": (second, 1)})) is same


async def seen_address(client: str, forwarded: str, trusted: list[str]) -> str:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(address_of(scope))
        await PlainTextResponse("")(scope, receive, send)

    behind = ProxyHeadersMiddleware(app, trusted)  # type: ignore[arg-type]
    transport = httpx.ASGITransport(behind, client=(client, 1))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        await http.get("/", headers={"X-Forwarded-For": forwarded})
    return seen[0]


@pytest.mark.parametrize(
    ("client", "forwarded", "seen"),
    [
        ("203.0.113.9", "198.51.100.7", "203.0.113.9"),  # nobody we know may say who it is
        ("10.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("10.0.0.1", "192.0.2.1, 198.51.100.7", "198.51.100.7"),  # what the client wrote itself stands to the left
        ("10.0.0.1", "198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("10.0.0.1", "", "10.0.0.1"),
    ],
)
async def test_only_trusted_proxies_are_believed(client: str, forwarded: str, seen: str) -> None:
    assert await seen_address(client, forwarded, ["10.0.0.0/8"]) == seen


@pytest.mark.parametrize(
    ("method", "path", "kind", "most"),
    [
        ("GET", "/v1/sessions/X/events", "", table.STREAMS.at_once),
        ("POST", "/v1/scans", "multipart/form-data; boundary=x", table.PHOTOGRAPHS.at_once),
    ],
)
async def test_only_so_many_are_under_way_at_once(method: str, path: str, kind: str, most: int) -> None:
    service = Service()
    service.go.clear()
    waiting = [asyncio.create_task(service.ask(method, path, token="a", content_type=kind)) for _ in range(most)]
    await asyncio.sleep(0.05)
    refused = await service.ask(method, path, token="a", content_type=kind)
    assert (refused.status_code, "Retry-After" in refused.headers) == (429, True)
    service.go.set()
    assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}
    assert (await service.ask(method, path, token="a", content_type=kind)).status_code == 200


async def test_who_goes_away_is_under_way_no_longer() -> None:
    service = Service()
    service.go.clear()
    for _ in range(3 * table.STREAMS.at_once):
        task = asyncio.create_task(service.ask("GET", "/v1/sessions/X/events", token="a"))
        await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    service.go.set()
    assert (await service.ask("GET", "/v1/sessions/X/events", token="a")).status_code == 200


async def test_streams_of_one_address_are_bounded_whoever_follows() -> None:
    service = Service(factor=0.1)
    service.go.clear()
    async with AsyncExitStack() as stack:
        for number in range(table.STREAMS_FROM.at_once // 10):
            task = asyncio.create_task(service.ask("GET", "/v1/sessions/X/events", token=f"rider {number}"))
            stack.callback(task.cancel)
        await asyncio.sleep(0.2)
        refused = await service.ask("GET", "/v1/sessions/X/events", token="another")
        assert refused.json()["limit"] == "streams-from"


def test_every_limit_has_a_name_of_its_own_and_a_reason() -> None:
    assert len({limit.name for limit in table.ALL_LIMITS}) == len(table.ALL_LIMITS)
    assert all(limit.reason for limit in table.ALL_LIMITS)


def test_no_factor_makes_a_limit_nothing() -> None:
    limits = Limits(0.000_001)
    limit = Limit("x", table.By.ADDRESS, 10, 60, "a test")
    limits.take(limit, "a")
    with pytest.raises(TooManyRequestsError):
        limits.take(limit, "a")


def test_a_limit_by_label_counts_whoever_asks() -> None:
    limits = Limits(now_s=lambda: 0.0)
    for _ in range(table.IDENTIFICATIONS_OF.amount):
        limits.take(table.IDENTIFICATIONS_OF, "label A")
    limits.take(table.IDENTIFICATIONS_OF, "label B")
    with pytest.raises(TooManyRequestsError):
        limits.take(table.IDENTIFICATIONS_OF, "label A")
