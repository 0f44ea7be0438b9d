"""Riders against a service of a few scripted words: what they do when it says no, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest

from simulators import riders, rides
from simulators.errors import ApiError, NoAnswerError, RideError
from simulators.http import Answer, Request
from simulators.riders import Api, Rider

ACTIVE = {"id": "S", "state": "active", "reason": None, "version": 3}
UNREADABLE = {"type": "urn:unlatch:problem:no-label-in-photo", "detail": "closer"}
TOO_POOR = {"type": "urn:unlatch:problem:insufficient-funds", "hold_minor": 2_600, "available_minor": 100}
WISH = {"id": "T", "pay_url": "http://pay/1", "status": "pending"}


class Phone(Api):
    """Hears scripted answers: (status, document), or an error to raise."""

    def __init__(self, *answers: tuple[int, Any] | NoAnswerError) -> None:
        super().__init__("http://service")
        self.sent: list[Request] = []
        self._answers: Iterator[tuple[int, Any] | NoAnswerError] = iter(answers)
        self._client.send = self._scripted  # type: ignore[method-assign]

    async def _scripted(self, request: Request) -> Answer:
        self.sent.append(request)
        answer = next(self._answers)
        if isinstance(answer, NoAnswerError):
            raise answer
        return Answer(answer[0], {}, msgspec.json.encode(answer[1]))

    @property
    def asked(self) -> list[str]:
        return [f"{request.method} {request.url.removeprefix('http://service')}" for request in self.sent]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(riders, "TRY_AGAIN_S", 0.0)


async def photographs(count: int) -> AsyncIterator[bytes]:
    for number in range(count):
        await asyncio.sleep(0)
        yield b"photo %d" % number


async def test_an_answer_that_is_lost_is_asked_for_again_with_the_very_same_request() -> None:
    phone = Phone(NoAnswerError(), NoAnswerError(), (201, ACTIVE))
    await Rider(phone, "token").start("LABEL")
    assert phone.sent[0] == phone.sent[1] == phone.sent[2]
    assert len(phone.sent[0].headers["Idempotency-Key"]) >= 22


async def test_a_provider_that_is_away_for_a_moment_is_asked_again_with_the_very_same_request() -> None:
    away = {"type": "urn:unlatch:problem:payment-provider-unavailable"}
    phone = Phone((502, away), (201, WISH), (200, {}), (200, WISH | {"status": "paid"}))
    await Rider(phone, "token").top_up(2_000)
    assert phone.sent[0] == phone.sent[1]


async def test_a_provider_that_stays_away_is_a_refusal() -> None:
    phone = Phone(*[(502, {"type": "urn:unlatch:problem:payment-provider-unavailable"})] * riders.TRIES)
    with pytest.raises(ApiError, match="payment-provider-unavailable"):
        await Rider(phone, "token").top_up(2_000)


async def test_different_wishes_have_different_keys() -> None:
    phone = Phone((201, ACTIVE), (201, ACTIVE))
    for _ in range(2):
        await Rider(phone, "token").start("LABEL")
    assert phone.sent[0].headers["Idempotency-Key"] != phone.sent[1].headers["Idempotency-Key"]


async def test_a_service_that_stays_silent_is_given_up() -> None:
    phone = Phone(*[NoAnswerError()] * riders.TRIES)
    with pytest.raises(NoAnswerError):
        await Rider(phone, "token").start("LABEL")
    assert len(phone.sent) == riders.TRIES


async def test_a_photograph_that_cannot_be_read_is_taken_again() -> None:
    phone = Phone((422, UNREADABLE), (200, {"label": "L"}))
    scanned = await Rider(phone, "token").scan(photographs(3), "TEXT")
    assert (scanned.offer, scanned.photos, scanned.photos_decoded) == ({"label": "L"}, 2, 1)
    assert b"photo 1" in phone.sent[1].body


async def test_when_no_photograph_can_be_read_the_text_is_sent() -> None:
    phone = Phone((422, UNREADABLE), (422, UNREADABLE), (200, {"label": "L"}))
    scanned = await Rider(phone, "token").scan(photographs(2), "TEXT")
    assert (scanned.photos, scanned.photos_decoded) == (2, 0)
    assert msgspec.json.decode(phone.sent[2].body) == {"text": "TEXT"}


async def test_a_forged_label_is_not_tried_again() -> None:
    phone = Phone((403, {"type": "urn:unlatch:problem:forged-label"}))
    with pytest.raises(ApiError) as refused:
        await Rider(phone, "token").scan(photographs(3), "TEXT")
    assert (refused.value.status, refused.value.type) == (403, "forged-label")


async def test_who_has_not_enough_money_pays_in_what_is_missing_and_starts_again() -> None:
    phone = Phone((402, TOO_POOR), (201, WISH), (200, {}), (200, WISH | {"status": "paid"}), (201, ACTIVE))
    started = await rides.start(Rider(phone, "token"), "LABEL")
    assert started.top_ups == 1
    assert phone.asked == [
        "POST /v1/sessions",
        "POST /v1/wallet/top-ups",
        "POST http://pay/1/pay",
        "GET /v1/wallet/top-ups/T",
        "POST /v1/sessions",
    ]
    assert msgspec.json.decode(phone.sent[1].body) == {"amount_minor": 2_500}


async def test_a_payment_that_fails_ends_the_ride() -> None:
    phone = Phone((402, TOO_POOR), (201, WISH), (200, {}), (200, WISH | {"status": "failed"}))
    with pytest.raises(RideError, match="2500 is failed"):
        await rides.start(Rider(phone, "token"), "LABEL")


async def test_a_taken_device_is_a_refusal() -> None:
    phone = Phone((409, {"type": "urn:unlatch:problem:device-taken"}))
    with pytest.raises(ApiError, match="device-taken"):
        await rides.start(Rider(phone, "token"), "LABEL")


async def test_a_lock_that_did_not_open_is_no_ride() -> None:
    phone = Phone((201, ACTIVE | {"state": "not_unlocked", "reason": "jammed"}))
    with pytest.raises(RideError, match="not_unlocked jammed"):
        await rides.start(Rider(phone, "token"), "LABEL")


async def test_nobody_watches_a_session_that_has_ended() -> None:
    phone = Phone()
    assert (await rides.ended(Rider(phone, "token"), ACTIVE | {"state": "closed"}))["state"] == "closed"
    assert phone.asked == []
