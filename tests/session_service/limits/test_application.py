"""The limits in the whole application: outside of everything else, and by the address that the settings believe."""

from __future__ import annotations

import httpx
import pytest

from session_service.app import create_app
from session_service.errors import SetupError
from session_service.settings import Settings, load_settings
from tests.session_service.ledger.app import new_secrets

THREE = 3 / 6_000
"""A factor that leaves three requests a minute."""


async def statuses(settings: Settings, client: str, forwarded: list[str]) -> list[int]:
    transport = httpx.ASGITransport(create_app(settings, new_secrets()), client=(client, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        return [(await http.get("/nothing", headers={"X-Forwarded-For": each})).status_code for each in forwarded]


MANY = [f"198.51.100.{number}" for number in range(5)]


async def test_a_stranger_who_writes_other_addresses_is_counted_as_one() -> None:
    assert await statuses(Settings(limits_factor=THREE), "203.0.113.9", MANY) == [404] * 3 + [429] * 2


async def test_nor_is_this_machine_believed_unless_it_is_named() -> None:
    assert await statuses(Settings(limits_factor=THREE), "127.0.0.1", MANY) == [404] * 3 + [429] * 2


async def test_behind_a_named_proxy_each_rider_is_counted_alone() -> None:
    settings = Settings(limits_factor=THREE, trusted_proxies="10.0.0.0/8, 2001:db8::1")
    assert await statuses(settings, "10.1.2.3", MANY) == [404] * 5
    assert await statuses(settings, "10.1.2.3", MANY[:1] * 5) == [404] * 3 + [429] * 2


async def test_a_refusal_is_measured_and_has_the_security_headers() -> None:
    app = create_app(Settings(limits_factor=THREE / 3), new_secrets())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
        await http.get("/nothing")
        refused = await http.get("/nothing")
    assert refused.status_code == 429
    assert refused.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("wrong", ["*", "proxy.example", "10.0.0.1/8"])
def test_a_proxy_is_named_by_its_address_or_network(wrong: str) -> None:
    with pytest.raises(SetupError, match="UNLATCH_TRUSTED_PROXIES"):
        load_settings(trusted_proxies=wrong)
