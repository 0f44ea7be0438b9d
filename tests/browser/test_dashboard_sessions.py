"""The dashboard's sessions: the list, its queues, a case decided as its preview showed, and a second person."""

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
from contextlib import closing
from typing import Any, Final

import pytest
from playwright.async_api import Page, expect

from simulators.folders import Device
from simulators.hands import Hands
from simulators.riders import Api, Rider
from tests.browser.rides import ride_off
from tests.support.browser import LIVE_MS, PATIENCE_S, PHONE, BrowserHouse, GetPhone, overflow_px, violations
from tests.support.desk import signed_in

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="session")]

WHY: Final = "the bike stands locked on its picture"
POLL_S: Final = 0.05
CONSENT: Final = "on the phone, at noon"
FUNDS_MINOR: Final = 2_000
LEFT_MINOR: Final = 10  # of it in the wallet: less than any fare


@pytest.fixture(scope="module")
def house_settings() -> dict[str, str]:
    return {
        "UNLATCH_UNLOCK_DEADLINE_MS": "3000",  # a machine with much else to do needs more than one second
        "UNLATCH_LOCK_DEADLINE_MS": "1000",
        "UNLATCH_REPORT_PATIENCE_MS": "200",
        "UNLATCH_SWEEP_EVERY_MS": "100",
    }


@pytest.fixture(scope="module")
def bikes_and_pods() -> tuple[int, int]:
    return 5, 1


async def started(api: Api, device: Device) -> tuple[Rider, str]:
    rider = await Rider.join(api)
    await rider.top_up(2_000)
    return rider, (await rider.start(device.label))["id"]


async def until(api: Api, rider: Rider, session_id: str, state: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (await api.get(f"/v1/sessions/{session_id}", rider.token))["state"] != state:
            await asyncio.sleep(POLL_S)


async def in_review(api: Api, hands: Hands, bike: Device) -> str:
    """Press Finish on a bike that nobody locks; return the session."""
    rider, session_id = await started(api, bike)
    await until(api, rider, session_id, "active")
    await ride_off(hands, bike)
    await api.post(f"/v1/sessions/{session_id}/finish", rider.token)
    await until(api, rider, session_id, "review")
    return session_id


def rows_of(house: BrowserHouse, query: str, *values: str) -> list[Any]:
    with closing(sqlite3.connect(house.directory / "unlatch.db")) as connection:
        return connection.execute(query, values).fetchall()


def postings(house: BrowserHouse, session_id: str) -> list[Any]:
    query = (
        "SELECT kind, debit_account, credit_account, amount_minor FROM posting"
        " JOIN transfer ON transfer.id = transfer_id WHERE session_id = ? ORDER BY transfer.id, leg"
    )
    return rows_of(house, query, session_id)


async def cells(page: Page, table: str) -> list[str]:
    return await page.get_by_role("table", name=table, exact=True).get_by_role("cell").all_text_contents()


async def preview(page: Page, choice: str) -> None:
    await page.get_by_role("button", name=choice).click()
    await page.get_by_label("Reason").fill(WHY)
    await page.get_by_role("button", name="Preview").click()
    await expect(page.get_by_role("group", name="Preview")).to_be_visible()


async def opened_after_release(house: BrowserHouse, api: Api, hands: Hands, operator: Page, bike: Device) -> str:
    """Let a bike be cut off while it opens, let its session be ended meanwhile, and then let it say that it opened.

    The page shows the case when this is over. In the rider's wallet is less than the fare. Returns the session.
    """
    await hands.do(bike.id, "break", movement_ms=1_500)
    rider = await Rider.join(api)
    await rider.top_up(FUNDS_MINOR)
    session = await api.post("/v1/sessions", rider.token, {"label": bike.label})
    async with asyncio.timeout(PATIENCE_S):
        while not (await hands.do(bike.id, "state"))["movements"]:
            await asyncio.sleep(POLL_S)
    await hands.do(bike.id, "go_offline")
    await until(api, rider, session["id"], "unknown")
    await operator.goto(f"{house.page_url}/ops/sessions/{session['id']}")
    await operator.get_by_label("Reason").fill("the rider has left")
    await operator.get_by_role("button", name="End it now").click()
    await expect(operator.locator(".big")).to_contain_text("not unlocked, ended by operator")
    await api.post("/v1/wallet/refunds", rider.token, {"amount_minor": FUNDS_MINOR - LEFT_MINOR})
    await hands.do(bike.id, "go_online")
    await expect(operator.locator(".big")).to_contain_text("review, unlocked after release")
    return str(session["id"])


async def done_as_previewed(house: BrowserHouse, page: Page, session_id: str, word: str) -> list[str]:
    """Do what is in the preview; return what the preview showed, which is what was then posted."""
    await expect(page.get_by_role("table", name="Postings it would make")).to_be_visible()
    before = postings(house, session_id)
    shown = await cells(page, "Postings it would make")
    await good(page)
    await page.get_by_role("button", name="Do this now").click()
    await expect(page.get_by_text(f"{word}: done, as previewed.")).to_be_visible()
    new = postings(house, session_id)[len(before) :]
    written = [part for kind, debit, credit, minor in new for part in (kind, debit, credit, euro(minor))]
    assert shown == written == await cells(page, "Postings made")
    return shown


def euro(minor: int) -> str:
    return f"€{minor / 100:.2f}"


async def good(page: Page) -> None:
    assert (await violations(page), await overflow_px(page)) == ([], 0)


async def test_a_lock_that_never_confirms_is_decided_as_the_preview_showed(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone, api: Api, hands: Hands
) -> None:
    bike = house.bikes[0]
    desk = await signed_in(phone, people["operator"], "/ops/sessions")
    page = desk.page
    await expect(page.get_by_role("link", name="In review (0)")).to_be_visible()
    session_id = await in_review(api, hands, bike)
    await page.get_by_role("link", name="In review (1)").click(timeout=2 * LIVE_MS)
    await expect(page).to_have_url(f"{house.page_url}/ops/sessions?queue=review")
    row = page.get_by_role("row").filter(has_text=f"bike {bike.number}")
    await expect(row).to_contain_text("review, lock unconfirmed")
    await good(page)
    await row.get_by_role("link").first.click()

    await expect(page.get_by_role("heading", name="Moves")).to_be_visible()
    await expect(page.locator("[aria-labelledby=reports]")).to_contain_text("signature checked")
    await expect(page.locator("[aria-labelledby=moves]")).to_contain_text("lock overdue")
    before = postings(house, session_id)
    await preview(page, "Close at a time")
    shown = await cells(page, "Postings it would make")
    assert shown[:1] == ["fare"]
    assert postings(house, session_id) == before == []  # a preview does nothing
    await good(page)
    await page.get_by_role("button", name="Do this now").click()
    await expect(page.get_by_text("Close at a time: done, as previewed.")).to_be_visible()
    assert await cells(page, "Postings made") == shown
    await expect(page.get_by_role("table", name="Postings", exact=True).get_by_role("cell")).to_have_text(shown)
    [(kind, wallet, revenue, amount)] = postings(house, session_id)
    assert shown == [kind, wallet, revenue, f"€{amount / 100:.2f}"]
    await expect(page.locator(".big")).to_contain_text("closed, decided")
    subject = f"session:{session_id}"
    assert rows_of(house, "SELECT action, why FROM audit WHERE subject = ?", subject) == [("decide session", WHY)]
    await good(page)


async def test_who_decides_on_an_old_page_sees_how_things_stand_and_the_keyboard_suffices(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone, api: Api, hands: Hands
) -> None:
    session_id = await in_review(api, hands, house.bikes[1])
    path = f"/ops/sessions/{session_id}"
    first = await signed_in(phone, people["operator"], path)
    second = await signed_in(phone, people["admin"], path, size=PHONE, scheme="dark")
    await preview(second.page, "Close at no charge")
    await good(second.page)

    page = first.page
    await page.get_by_role("button", name="Close at no charge").focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    if await page.get_by_role("button", name="Close at a time").evaluate("one => one === document.activeElement"):
        await page.keyboard.press("Tab")
    await page.keyboard.type(WHY)
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Do this now").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Close at no charge: done, as previewed.")).to_be_visible()

    await second.page.get_by_role("button", name="Do this now").click()
    await expect(second.page.get_by_role("alert")).to_contain_text("It is closed now, decided.")
    await expect(second.page.locator(".big")).to_contain_text("closed, decided")
    await expect(second.page.get_by_role("button", name="Do this now")).to_have_count(0)
    assert len(rows_of(house, "SELECT 1 FROM audit WHERE subject = ?", f"session:{session_id}")) == 1
    await good(second.page)
    second.faults.clear()


async def test_a_late_unlock_is_charged_as_its_rider_agreed_then_written_off_and_the_rest_refunded(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone, api: Api, hands: Hands
) -> None:
    bike = house.bikes[4]
    page = (await signed_in(phone, people["operator"], size=PHONE)).page
    session_id = await opened_after_release(house, api, hands, page, bike)
    [(rider_id,)] = rows_of(house, "SELECT rider_id FROM session WHERE id = ?", session_id)
    wallet, debt = f"wallet:{rider_id}", f"debt:{rider_id}"
    await expect(page.get_by_role("button", name="Close at a time")).to_have_count(0)  # its hold has ended
    await page.get_by_role("button", name="Charge as the rider agreed").click()
    await page.get_by_label("How the rider agreed").fill(CONSENT)
    await page.get_by_label("Reason").fill(WHY)
    await page.get_by_role("button", name="Preview").click()
    charged = await done_as_previewed(house, page, session_id, "Charge as the rider agreed")
    assert [charged[n] for n in (0, 1, 3)] == ["charge", wallet, euro(LEFT_MINOR)]
    assert charged[4:6] == ["charge", debt]
    await expect(page.locator(".big")).to_contain_text("closed, decided")

    owed_minor = sum(row[3] for row in postings(house, session_id)) - LEFT_MINOR
    off_minor = owed_minor - 5
    await page.get_by_role("button", name="Write off").click()
    await page.get_by_label("Amount in EUR").fill(f"{off_minor / 100:.2f}")
    await page.get_by_label("Reason").fill(WHY)
    await page.get_by_role("button", name="Preview").click()
    written_off = await done_as_previewed(house, page, session_id, "Write off")
    assert written_off == ["write-off", "adjustment", debt, euro(off_minor)]

    await page.get_by_role("button", name="Refund").click()
    await expect(page.get_by_label("Amount in EUR")).to_have_value(f"{(LEFT_MINOR + 5) / 100:.2f}")  # all that is left
    await page.get_by_label("Reason").fill(WHY)
    await page.get_by_role("button", name="Preview").click()
    refunded = await done_as_previewed(house, page, session_id, "Refund")
    assert sorted(refunded[3::4]) == sorted([euro(5), euro(LEFT_MINOR)])
    assert {refunded[2], refunded[6]} == {wallet, debt}
    for choice in ("Write off", "Refund"):
        await expect(page.get_by_role("button", name=choice)).to_have_count(0)
    audited = rows_of(house, "SELECT action, why FROM audit WHERE subject = ? ORDER BY id", f"session:{session_id}")
    assert [action for action, _ in audited] == [
        "end session",
        "session.charge",
        "decide session",
        "session.write_off",
        "session.refund",
    ]
    assert CONSENT in audited[1][1]


async def test_a_viewer_sees_the_evidence_and_has_neither_buttons_nor_the_wallet(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone, api: Api, hands: Hands
) -> None:
    bike = house.bikes[2]
    session_id = await in_review(api, hands, bike)
    desk = await signed_in(phone, people["viewer"], "/ops/sessions", size=PHONE)
    page = desk.page
    await expect(page.get_by_label("Rider's reference")).to_have_count(0)
    await page.get_by_label("Device's number").fill(str(bike.number))
    await page.get_by_label("Device's number").press("Enter")
    await expect(page).to_have_url(f"{house.page_url}/ops/sessions?device_id={bike.id}")
    await expect(page.get_by_role("table").get_by_role("row")).to_have_count(2)
    await page.reload()
    await expect(page.get_by_role("table").get_by_role("row")).to_have_count(2)
    await good(page)
    await page.get_by_role("table").get_by_role("link").first.click()
    await expect(page.get_by_role("heading", name="Moves")).to_be_visible()
    await good(page)
    for absent in ("Decide", "Postings", "The rider's wallet now"):
        await expect(page.get_by_role("heading", name=absent)).to_have_count(0)
    await page.get_by_role("heading", level=1).get_by_role("link").click()
    of_device = page.get_by_role("table", name="The last sessions")
    await expect(of_device.get_by_role("row")).to_have_count(2)
    await good(page)
    asked = {"choice": "no_charge", "reason": WHY}
    status = await page.evaluate(
        """async ([path, key, body]) => (await fetch(path, {method: "POST", body, headers:
        {"Content-Type": "application/json", "Idempotency-Key": key}})).status""",
        [f"/v1/ops/sessions/{session_id}/decisions/preview", secrets.token_hex(12), json.dumps(asked)],
    )
    assert status == 403
    desk.faults.clear()


async def test_an_unknown_one_is_in_its_queue_and_is_ended_with_a_reason(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone, api: Api, hands: Hands
) -> None:
    bike = house.bikes[3]
    desk = await signed_in(phone, people["operator"], "/ops/sessions?queue=unknown")
    page = desk.page
    await hands.do(bike.id, "go_offline")
    rider, session_id = await started(api, bike)
    await until(api, rider, session_id, "unknown")
    await expect(page.get_by_role("link", name="Unknown (1)")).to_be_visible(timeout=2 * LIVE_MS)
    await page.get_by_role("row").filter(has_text=f"bike {bike.number}").get_by_role("link").first.click()
    await page.get_by_label("Reason").fill("the rider has gone")
    await page.get_by_role("button", name="End it now").click()
    await expect(page.locator(".big")).to_contain_text("not unlocked, ended by operator")
    audited = rows_of(house, "SELECT action, why FROM audit WHERE subject = ?", f"session:{session_id}")
    assert audited == [("end session", "the rider has gone")]
    await hands.do(bike.id, "go_online")


async def test_a_second_person_finds_what_waits_and_whoever_asked_can_only_take_it_back(
    house: BrowserHouse, people: dict[str, str], phone: GetPhone, api: Api
) -> None:
    pod = house.pods[0]
    await started(api, pod)
    first = await signed_in(phone, people["operator"], f"/ops/devices/{pod.id}")
    await first.page.get_by_role("button", name="Unlock", exact=True).click()
    await first.page.get_by_label("Reason").fill("somebody knocks")
    await first.page.get_by_role("button", name="Unlock now").click()
    await expect(first.page.get_by_text("waits for a second person")).to_be_visible()
    await first.page.get_by_role("link", name="Approvals").click()
    await expect(first.page.get_by_role("button", name="Take it back")).to_be_visible()
    await expect(first.page.get_by_role("button", name="Approve and send it")).to_have_count(0)
    second = await signed_in(phone, people["admin"], size=PHONE)
    await second.page.get_by_role("link", name="Approvals (1 waiting)").click()
    waiting = second.page.get_by_role("article", name="unlock, because: somebody knocks")
    await expect(waiting).to_contain_text(f"pod {pod.number}")
    await good(second.page)
    await waiting.get_by_label("Reason").first.fill("I hear it on the phone")
    await waiting.get_by_role("button", name="Approve and send it").click()
    await expect(second.page.get_by_text("because: I hear it on the phone")).to_be_visible()
    await expect(first.page.get_by_text("Nothing waits.")).to_be_visible(timeout=2 * LIVE_MS)
    await good(first.page)
    audited = rows_of(house, "SELECT action FROM audit WHERE action LIKE 'approval.%' ORDER BY id")
    assert audited == [("approval.ask unlock",), ("approval.confirm unlock",)]
