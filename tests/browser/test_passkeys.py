"""An account kept with a passkey and found again on a second phone, a copy of it, and its end; in Chromium itself.

The authenticators are Chromium's virtual ones. What a password manager does between two phones is done by hand: the
credential is taken out of the first phone's authenticator and put into the second's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import CDPSession, expect

from simulators.folders import Device
from simulators.hands import Hands
from simulators.riders import Api, Rider
from tests.support.browser import BrowserHouse, GetPhone, Phone, overflow_px, settled, violations

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="session")]

RIDDEN_DEG: Final = 0.01  # about a kilometre: no ride that is undone
KEEP: Final = "Keep this account with a passkey"
SIGN_IN: Final = "Sign in with a passkey"
KEY: Final = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}


@dataclass
class Authenticator:
    """The virtual authenticator of one page."""

    devtools: CDPSession
    id: str

    async def credentials(self) -> list[dict[str, Any]]:
        found = await self.devtools.send("WebAuthn.getCredentials", {"authenticatorId": self.id})
        return list(found["credentials"])

    async def put(self, credential: dict[str, Any]) -> None:
        await self.devtools.send("WebAuthn.addCredential", {"authenticatorId": self.id, "credential": credential})


async def authenticator(phone: Phone) -> Authenticator:
    """Give a phone an authenticator whose owner always says yes."""
    devtools = await phone.context.new_cdp_session(phone.page)
    await devtools.send("WebAuthn.enable")
    options = {**KEY, "isUserVerified": True, "automaticPresenceSimulation": True}
    made = await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return Authenticator(devtools, made["authenticatorId"])


async def ride(rider: Rider, device: Device, hands: Hands) -> str:
    """Ride a kilometre and lock; return the session's id."""
    session = await rider.start(device.label)
    await hands.do(device.id, "move", lat=device.position.lat + RIDDEN_DEG, lon=device.position.lon)
    await hands.do(device.id, "lock_by_hand")
    await rider.follow(session, lambda now: now["state"] == "closed")
    return str(session["id"])


async def kept(phone: Phone, api: Api, device: Device, hands: Hands) -> tuple[Rider, Authenticator]:
    """Make the phone that of a rider who has ridden and has kept the account with a passkey."""
    rider = await settled(phone, api)
    await ride(rider, device, hands)
    key = await authenticator(phone)
    await phone.open("/account")
    await phone.page.get_by_role("button", name=KEEP).click()
    await expect(phone.page.get_by_text("A passkey keeps it")).to_be_visible()
    return rider, key


async def is_good(phone: Phone) -> list[str]:
    """Return what is wrong with the screen, for those who use it otherwise."""
    found = await violations(phone.page)
    return found if await overflow_px(phone.page) <= 0 else [*found, "wider than the screen"]


async def wallet_of(phone: Phone) -> dict[str, Any]:
    answer = await phone.context.request.get(f"{phone.url}/v1/wallet")
    wallet: dict[str, Any] = await answer.json()
    return wallet


async def test_an_account_is_kept_on_one_phone_and_found_again_on_another(
    house: BrowserHouse, api: Api, phone: GetPhone, hands: Hands
) -> None:
    first = await phone()
    rider = await settled(first, api)
    await first.open("/account")
    await expect(first.page.get_by_role("button", name=KEEP)).to_have_count(0)  # never before the first ride
    session_id = await ride(rider, house.bikes[0], hands)
    key = await authenticator(first)
    await first.open(f"/s/{session_id}")
    assert await is_good(first) == []
    await first.page.get_by_role("link", name="Keep my account").click()
    await first.page.wait_for_url("**/account#keep")
    assert await is_good(first) == []
    await first.page.get_by_role("button", name=KEEP).click()
    await expect(first.page.get_by_text("A passkey keeps it")).to_be_visible()
    assert await is_good(first) == []
    [credential] = await key.credentials()

    second = await phone(scheme="dark")
    await (await authenticator(second)).put(credential)
    await second.open("/account")
    assert await is_good(second) == []
    await second.page.get_by_role("button", name=SIGN_IN).click()

    await expect(second.page.get_by_text("A passkey keeps it")).to_be_visible()
    assert await wallet_of(second) == await wallet_of(first)
    assert (await wallet_of(first))["balance_minor"] > 0  # both phones are signed in
    await first.open(f"/s/{session_id}")
    await expect(first.page.get_by_role("link", name="Keep my account")).to_have_count(0)  # it is kept


async def test_a_guest_with_money_is_left_only_after_a_word(
    house: BrowserHouse, api: Api, phone: GetPhone, hands: Hands
) -> None:
    first = await phone()
    _, key = await kept(first, api, house.bikes[1], hands)
    [credential] = await key.credentials()
    second = await phone()
    guest = await settled(second, api, funds_minor=700)
    await (await authenticator(second)).put(credential)
    await second.open("/account")

    await second.page.get_by_role("button", name=SIGN_IN).click()

    await expect(second.page.get_by_text("€7.00")).to_be_visible()
    assert (await wallet_of(second))["balance_minor"] == 700
    second.faults.clear()  # Chromium logs the 409
    await second.page.get_by_role("button", name="Sign in all the same").click()
    await expect(second.page.get_by_text("A passkey keeps it")).to_be_visible()
    assert await wallet_of(second) == await wallet_of(first)
    assert (await api.get("/v1/wallet", guest.token))["balance_minor"] == 700


async def test_a_removed_passkey_opens_nothing_and_the_page_says_so_in_the_riders_language(
    house: BrowserHouse, api: Api, phone: GetPhone, hands: Hands
) -> None:
    first = await phone()
    _, key = await kept(first, api, house.bikes[2], hands)
    [credential] = await key.credentials()
    await first.page.get_by_role("button", name="Remove this passkey").click()
    await expect(first.page.get_by_role("button", name=KEEP)).to_be_visible()
    second = await phone()
    await (await authenticator(second)).put(credential)
    await second.open("/account")

    await second.page.get_by_role("button", name=SIGN_IN).click()

    await expect(second.page.get_by_role("alert")).to_contain_text("Nobody here has this passkey")
    second.faults.clear()  # Chromium logs the 404


async def test_a_phone_without_a_passkey_is_told_so_and_nothing_happens(phone: GetPhone) -> None:
    there = await phone()
    await authenticator(there)
    await there.open("/account")

    await there.page.get_by_role("button", name=SIGN_IN).click()

    await expect(there.page.get_by_role("alert")).to_contain_text("Nothing was changed")


async def test_without_scripts_the_page_says_what_passkeys_need(phone: GetPhone) -> None:
    there = await phone(scripts=False)
    await there.open("/account")

    await expect(there.page.get_by_text("Passkeys need JavaScript")).to_be_visible()
    await expect(there.page.get_by_role("button", name=SIGN_IN)).to_have_count(0)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
async def test_a_copy_is_downloaded_and_then_the_account_ends(
    api: Api, phone: GetPhone, tmp_path: Path, *, scripts: bool
) -> None:
    there = await phone(scripts=scripts)
    await settled(there, api, funds_minor=700)
    await there.open("/account")

    async with there.page.expect_download() as coming:
        await there.page.get_by_role("link", name="Download my data").click()
    await (await coming.value).save_as(tmp_path / "mine.json")

    mine = json.loads((tmp_path / "mine.json").read_text())
    assert mine["wallet"]["balance_minor"] == 700
    await there.page.get_by_role("link", name="Erase my account").click()
    await expect(there.page.get_by_text("€7.00 in your wallet: you give it up.")).to_be_visible()
    if scripts:
        assert await is_good(there) == []
    await there.page.get_by_role("checkbox").check()
    await there.page.get_by_role("button", name="Erase my account for good").click()
    await expect(there.page.get_by_role("heading", name="Your account is erased")).to_be_visible()
    answer = await there.context.request.get(f"{there.url}/v1/wallet")
    assert answer.status == 401
