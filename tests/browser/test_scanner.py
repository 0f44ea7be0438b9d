"""Every way from a label to its page: the camera in the page, a photograph, and the number on the thing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from broker.contract.messages import Position
from session_service.web.words import PROBLEMS
from simulators.camera import Difficulty, photograph_of
from simulators.folders import Device
from tests.browser.hard_pictures import look_at, pictures
from tests.support.browser import (
    SQUARE,
    BrowserHouse,
    GetPhone,
    Phone,
    camera_clip,
    overflow_px,
    path_of,
    printed,
    spot,
    violations,
)
from tests.support.photos import label_text

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="session")]

ELSEWHERE: Final = Position(lat=48.25, lon=16.37)
CAMERA_IS_OFF: Final = "() => document.querySelector('video').srcObject === null"
STATE: Final = "document.getElementById('camera').dataset.state"
SHOWN_CASES: Final = """() =>
  [...document.querySelectorAll("[data-case]:not([hidden])")].map((help) => help.dataset.case)"""
SHORT_EACH, SHORT_TOGETHER = 3, 5  # twenty pictures
SCANNED_MIN, UPLOADED_MIN = 13, 13  # of them; more are read, but a busy machine may run out of time for an upload


async def seen(phone: Phone, device: Device, camera: Path) -> None:
    """Hold a device's printed label before the camera, and open the scanner."""
    camera_clip(device.label, device.number, camera)
    await phone.open("/scan")


async def at_its_page(phone: Phone, device: Device) -> None:
    await phone.page.wait_for_url(f"**{path_of(device.label)}")
    assert str(device.number) in await phone.page.inner_text("h1")


async def helped(phone: Phone, case: str) -> None:
    """Wait until the page shows the help for this case, and see that it shows no other."""
    await phone.page.locator(f"[data-case={case}]").wait_for()
    shown = await phone.page.evaluate(SHOWN_CASES)
    assert shown == [case]


@pytest.mark.parametrize("kind", ["bike", "pod"])
async def test_the_camera_finds_the_label_and_goes_to_its_page(
    house: BrowserHouse, phone: GetPhone, camera: Path, kind: str
) -> None:
    device, there = (house.bikes if kind == "bike" else house.pods)[0], await phone()
    asked: list[str] = []
    there.page.on("request", lambda request: asked.append(request.url))

    await seen(there, device, camera)

    await at_its_page(there, device)
    assert any("zxing-reader.wasm" in url for url in asked)
    assert all(url.startswith(house.page_url) for url in asked), "the reader comes from us, as all the rest"


async def test_the_label_of_another_host_is_not_followed(house: BrowserHouse, phone: GetPhone, camera: Path) -> None:
    there = await phone()
    camera_clip(label_text(), 1, camera)

    await there.open("/scan")

    await helped(there, "foreign")
    assert there.page.url == f"{house.page_url}/scan"
    assert await there.page.evaluate(STATE) == "running"


async def test_the_camera_is_off_while_the_page_is_hidden_and_when_it_is_left(phone: GetPhone, camera: Path) -> None:
    there = await phone()
    camera_clip(label_text(), 1, camera)
    await there.open("/scan")
    await there.page.wait_for_function(f"() => {STATE} === 'running'")

    await there.page.evaluate("""() => {
      Object.defineProperty(document, 'hidden', {value: true, configurable: true});
      document.dispatchEvent(new Event('visibilitychange'));
    }""")
    assert await there.page.evaluate(CAMERA_IS_OFF)
    await there.page.evaluate("""() => {
      Object.defineProperty(document, 'hidden', {value: false, configurable: true});
      document.dispatchEvent(new Event('visibilitychange'));
    }""")
    await there.page.wait_for_function(f"() => {STATE} === 'running'")
    await there.page.evaluate("() => dispatchEvent(new PageTransitionEvent('pagehide'))")
    assert await there.page.evaluate(CAMERA_IS_OFF)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_refused_camera_is_explained_and_a_photograph_does_as_well(
    house: BrowserHouse, phone: GetPhone, camera: Path, tmp_path: Path, scheme: str
) -> None:
    bike, there = house.bikes[1], await phone(camera=False, scheme=scheme)
    await seen(there, bike, camera)
    await helped(there, "refused")
    assert await there.page.get_by_role("button", name="Try again").is_visible()
    assert await violations(there.page) == []
    assert await overflow_px(there.page) <= 0
    photo = tmp_path / "label.png"
    photo.write_bytes(_photograph(bike))

    await there.page.set_input_files("input[type=file]", photo)

    await at_its_page(there, bike)


@pytest.mark.parametrize(
    ("mistake", "case"),
    [
        ("NotFoundError", "missing"),
        ("NotReadableError", "busy"),
        ("NotAllowedError", "refused"),
        ("TypeError", "broken"),
    ],
)
async def test_each_fault_of_the_camera_has_its_own_words(phone: GetPhone, mistake: str, case: str) -> None:
    there = await phone()
    await there.page.add_init_script(
        f"navigator.mediaDevices.getUserMedia = () => Promise.reject(Object.assign(new Error(), {{name: '{mistake}'}}))"
    )

    await there.open("/scan")

    await helped(there, case)


async def test_a_photograph_without_a_script(house: BrowserHouse, phone: GetPhone, tmp_path: Path) -> None:
    bike, there = house.bikes[2], await phone(scripts=False)
    photo = tmp_path / "label.png"
    photo.write_bytes(_photograph(bike))
    await there.open("/scan")

    await there.page.set_input_files("input[type=file]", photo)
    await there.page.get_by_role("button", name="Read the label").click()

    await at_its_page(there, bike)


async def test_a_number_with_the_position_that_the_phone_allows(house: BrowserHouse, phone: GetPhone) -> None:
    bike, there = house.bikes[3], await phone(camera=False, place=spot(3))
    await _until_placed(there)
    await there.open("/scan")

    await there.page.get_by_label("Number").fill(str(bike.number))
    await there.page.get_by_role("button", name="Find it").click()

    await at_its_page(there, bike)


async def test_a_number_elsewhere_says_what_to_do(house: BrowserHouse, phone: GetPhone) -> None:
    there = await phone(camera=False, place=ELSEWHERE)
    await there.open("/scan")

    await there.page.get_by_label("Number").fill(str(house.bikes[3].number))
    await there.page.get_by_role("button", name="Find it").click()

    await there.page.get_by_role("alert").filter(has_text=PROBLEMS["number-not-here"].title).wait_for()
    there.faults.clear()  # the browser notes that the answer was 404


async def test_a_number_without_a_position_says_so(phone: GetPhone) -> None:
    there = await phone(camera=False, place=None)
    await there.open("/scan")

    await there.page.get_by_label("Number").fill("1001")
    await there.page.get_by_role("button", name="Find it").click()

    await helped(there, "nowhere")


# -- What is free


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_list_and_map_say_the_same(house: BrowserHouse, phone: GetPhone, scheme: str) -> None:
    there = await phone(scheme=scheme)
    await _until_placed(there)

    await there.open("/nearby")  # the phone has allowed its position, so nothing is to be pressed

    await there.page.get_by_role("heading", name="Near you").wait_for()
    items = await there.page.locator("#found li").all_inner_texts()
    marks = there.page.locator("#map .pin")
    await marks.first.wait_for()
    said = [await mark.get_attribute("aria-label") for mark in await marks.all()]
    assert len(items) == len(said) > 0
    assert said == [f"{n}: {' '.join(item.split())}" for n, item in enumerate(items, 1)]
    assert await violations(there.page) == []
    assert await overflow_px(there.page) <= 0
    assert there.page.url == f"{house.page_url}/nearby", "the address does not say where anybody was"


async def test_marks_are_reached_by_keyboard(phone: GetPhone) -> None:
    there = await phone()
    await _until_placed(there)
    await there.open("/nearby")
    await there.page.get_by_role("heading", name="Near you").wait_for()
    mark = there.page.locator("#map .pin").first
    await mark.wait_for()

    await mark.focus()
    await there.page.keyboard.press("Enter")

    words = await there.page.locator(".leaflet-popup p").inner_text()
    assert f"1: {words}" == await mark.get_attribute("aria-label")


async def test_who_does_not_say_where_sees_the_city(phone: GetPhone) -> None:
    there = await phone(place=None)
    await _until_placed(there)
    await there.open("/nearby")

    await there.page.get_by_role("button", name="Show what is near me").click()

    await there.page.locator("#nowhere").wait_for()
    assert await there.page.locator("#found li").count() >= 1


# -- Hard pictures


async def test_hard_pictures_are_read_in_both_ways(house: BrowserHouse, phone: GetPhone) -> None:
    there = await phone(camera=False)
    browser = there.context.browser
    assert browser is not None

    looks = await look_at(pictures(SHORT_EACH, SHORT_TOGETHER), house, browser)

    assert len(looks) == 20
    assert sum(look.scanned for look in looks) >= SCANNED_MIN
    assert sum(look.uploaded for look in looks) >= UPLOADED_MIN


async def _until_placed(there: Phone) -> None:
    """Return once the service knows where things stand; each says so with its heartbeats."""
    address = f"{there.url}/v1/nearby?lat={SQUARE.lat}&lon={SQUARE.lon}"
    async with asyncio.timeout(60):
        while not (await (await there.context.request.get(address)).json())["devices"]:
            await asyncio.sleep(0.2)


def _photograph(device: Device) -> bytes:
    """Return a good photograph of a device's printed label."""
    return photograph_of(printed(device.label, device.number), np.random.default_rng(1), Difficulty.EASY)
