"""The tools of these tests do what they say: the phone, its camera, the checker and the list of complaints."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Final

import pytest

from session_service.labels.reader import read
from session_service.labels.token import looks_like_label
from tests.support.browser import BrowserHouse, GetPhone, camera_clip, overflow_px, violations

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="session")]

SHOOT: Final = """async () => {
  const stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: 'environment'}});
  const video = document.createElement('video');
  video.srcObject = stream;
  await video.play();
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext('2d').drawImage(video, 0, 0);
  stream.getTracks().forEach((track) => track.stop());
  return canvas.toDataURL('image/png');
}"""
"""Takes a photograph in the page, as a data URL."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_labels_page_opens_without_a_complaint(house: BrowserHouse, phone: GetPhone, scheme: str) -> None:
    there = await phone(scheme=scheme)

    await there.open_label(house.bikes[0])

    assert "1001" in await there.page.inner_text("body")
    assert await violations(there.page) == []
    assert await overflow_px(there.page) <= 0


async def test_the_checker_sees_what_is_wrong(house: BrowserHouse, phone: GetPhone) -> None:
    there = await phone()
    await there.open_label(house.bikes[0])

    await there.page.evaluate("() => document.querySelector('body').append(document.createElement('button'))")

    [found] = await violations(there.page)
    assert found.startswith("button-name: body > button: ")


async def test_complaints_of_a_page_are_noted(phone: GetPhone) -> None:
    there = await phone()
    await there.open("/healthz")

    await there.page.evaluate("() => { console.error('oh'); setTimeout(() => { throw new Error('no'); }, 0); }")
    await there.page.wait_for_timeout(100)

    assert len(there.faults) == 2
    assert there.faults[0].startswith("console: oh")
    assert there.faults[1].startswith("exception: no")
    there.faults.clear()


@pytest.mark.parametrize("number", [0, 1])
async def test_the_camera_shows_the_label_that_was_put_before_it(
    house: BrowserHouse, phone: GetPhone, camera: Path, number: int
) -> None:
    bike, there = house.bikes[number], await phone()
    camera_clip(bike.label, bike.number, camera)
    await there.open_label(bike)

    photo = await there.page.evaluate(SHOOT)

    assert read(base64.b64decode(photo.partition(",")[2]), looks_like_label, now_ms=lambda: 0) == bike.label


async def test_a_rider_may_refuse_the_camera(house: BrowserHouse, phone: GetPhone, camera: Path) -> None:
    bike, there = house.bikes[0], await phone(camera=False)
    camera_clip(bike.label, bike.number, camera)
    await there.open_label(bike)

    refused = await there.page.evaluate(f"({SHOOT})().catch((error) => error.name)")

    assert refused == "NotAllowedError"
