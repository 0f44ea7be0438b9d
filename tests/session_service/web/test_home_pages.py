from __future__ import annotations

import pytest

from session_service.ledger.schemas import WalletOut
from session_service.pricing.tariff import Tariff
from session_service.sessions.machine import ENDED, SessionState
from session_service.sessions.model import Session
from session_service.web import home_pages
from session_service.web.home_pages import WORDS, Standing, cost_so_far
from tests.support.pages import Surfer
from tests.support.towns import Town

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="module")]

MINUTE_MS = 60_000
START_MS = 1_800_000_000_000
TERMS = Tariff(
    currency="EUR",
    unlock_fee_minor=50,
    interval_s=60,
    interval_price_minor=15,
    free_s=0,
    cap_minor=1_500,
    max_session_s=86_400,
    hold_minor=500,
)


def ride(state: SessionState, *, finish_ms: int | None = None) -> Session:
    return Session.model_construct(
        number=1, state=state, tariff=TERMS.as_json(), started_at_ms=START_MS, finish_requested_at_ms=finish_ms
    )


async def test_a_stranger_reads_what_to_do(town: Town) -> None:
    page = await Surfer(town.world).open("/")

    assert page.status_code == 200
    assert page.text.count("<li>") == 3
    assert 'href="/scan"' in page.text
    assert 'href="/nearby"' in page.text
    assert "€" not in page.text
    assert "My rentals" not in page.text


async def test_a_rider_sees_the_ride_under_way_and_then_no_more(town: Town) -> None:
    bike, rider = await town.world.device(), await town.world.rider(2_000)
    started = (await rider.start(bike.device.label)).json()
    surfer = Surfer(town.world, rider)

    during = (await surfer.open("/")).text
    assert f'href="/s/{started["id"]}"' in during
    assert f"Bike {started['number']}" in during
    assert "Running" in during
    assert "€0.65" in during
    assert "€15.00" in during  # what is free of 20.00

    bike.do("lock_by_hand", {})
    await rider.until(started["id"], "closed")
    after = (await surfer.open("/")).text
    assert started["id"] not in after
    assert "€20.00" in after  # locked again at once


async def test_a_debt_is_said_before_somebody_wants_to_ride(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    wallet = WalletOut(currency="EUR", balance_minor=0, held_minor=0, available_minor=0, debt_minor=130)
    monkeypatch.setattr(home_pages, "_standing", lambda *_: Standing(wallet=wallet))

    page = await Surfer(town.world, town.rider).open("/")

    assert "€1.30 of an earlier rental is not paid yet." in page.text


async def test_a_cookie_that_has_ended_makes_nobody_a_rider(town: Town) -> None:
    rider = await town.world.rider(2_000)
    renewed = await rider.client.post(
        "/v1/riders/me/tokens", headers={**rider.headers, "Idempotency-Key": "a" * 22}, json={}
    )
    assert renewed.status_code == 201

    page = await Surfer(town.world, rider).open("/")

    assert page.status_code == 200
    assert "€" not in page.text


@pytest.mark.parametrize("path", ["/", "/help", "/privacy", "/offline"])
async def test_a_page_is_in_the_language_of_whoever_looks(town: Town, path: str) -> None:
    surfer = Surfer(town.world, language="zh-CN,zh;q=0.9,en;q=0.5")

    assert '<html lang="zh">' in (await surfer.open(path)).text
    assert '<html lang="de">' in (await surfer.open(f"{path}?lang=de")).text
    assert '<html lang="de">' in (await surfer.open(path)).text


async def test_help_says_how_long_an_unanswered_start_can_bind_money(town: Town) -> None:
    page = await Surfer(town.world).open("/help")

    assert page.text.count("<summary>") == 10
    assert "after 3 minutes at the latest" in page.text


async def test_privacy_names_what_is_kept_and_where_it_is_erased(town: Town) -> None:
    page = await Surfer(town.world).open("/privacy")

    assert "is kept for 24 hours" in page.text
    assert "it ends after 30 minutes" in page.text
    assert 'href="/account"' in page.text


async def test_every_ride_that_is_not_over_has_words() -> None:
    assert WORDS.keys() == set(SessionState) - ENDED - {SessionState.REQUESTED}


async def test_the_cost_so_far_stands_still_at_finish() -> None:
    now_ms = START_MS + 10 * MINUTE_MS

    assert cost_so_far(ride(SessionState.ACTIVE), now_ms) == 50 + 10 * 15
    assert cost_so_far(ride(SessionState.LOCKING, finish_ms=START_MS + 4 * MINUTE_MS), now_ms) == 50 + 4 * 15


@pytest.mark.parametrize("state", [SessionState.UNLOCKING, SessionState.UNKNOWN, SessionState.REVIEW])
async def test_of_what_is_not_known_no_cost_is_said(state: SessionState) -> None:
    assert cost_so_far(ride(state), START_MS + MINUTE_MS) is None
