"""The scanner's page without a script: a photograph or a number leads to the label's page, or says what to do."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import text

from session_service.credentials import origin_of
from session_service.web.static_files import address
from simulators.bodies import SimulatedDevice
from tests.support.pages import Surfer, forms
from tests.support.towns import Town
from tests.support.world import SOMEWHERE

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="module")]

HERE = {"lat": str(SOMEWHERE.lat), "lon": str(SOMEWHERE.lon), "accuracy_m": "10"}
ELSEWHERE = {**HERE, "lat": str(SOMEWHERE.lat + 0.01)}


async def a_bike(town: Town) -> SimulatedDevice:
    """Return a bike that has just said where it stands."""
    bike, now_ms = await town.world.device(), town.world.context.clock.now_ms()
    values = {"lat": SOMEWHERE.lat, "lon": SOMEWHERE.lon, "now": now_ms, "id": bike.device.id}
    statement = text("UPDATE device_state SET lat = :lat, lon = :lon, position_at_ms = :now WHERE device_id = :id")
    await town.world.context.database.write(lambda c: c.execute(statement, values))
    return bike


def path_of(bike: SimulatedDevice) -> str:
    return urlsplit(bike.device.label).path


async def picture_of(town: Town, bike: SimulatedDevice) -> bytes:
    label_id = bike.device.label.split("/")[4]
    return (await town.world.ops("GET", f"/v1/ops/labels/{label_id}.png")).content


async def upload(surfer: Surfer, photo: bytes, *, token: str = "", origin: str = "") -> httpx.Response:
    page = await surfer.open("/scan")
    [form] = [form for form in forms(page.text) if form.action == "/scan/photo"]
    fields = {**form.fields, "token": token or form.fields["token"]}
    del fields["photo"]
    headers = {
        "Origin": origin or origin_of(surfer.world.context.settings.public_url),
        "Cookie": "; ".join(f"{name}={value}" for name, value in surfer.cookies.items()),
    }
    files = {"photo": ("photo.png", photo, "image/png")}
    return await surfer.world.client.post("/scan/photo", data=fields, files=files, headers=headers)


async def send_number(town: Town, number: str, place: dict[str, str]) -> httpx.Response:
    surfer = Surfer(town.world)
    return await surfer.press(await surfer.open("/scan"), "/scan/number", number=number, **place)


async def test_the_page_may_compile_the_reader_and_load_nothing_of_others(town: Town) -> None:
    page = await Surfer(town.world).open("/scan")

    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert page.status_code == 200
    assert policy["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert policy["connect-src"] == "'self'"
    assert policy["default-src"] == "'none'"
    assert "unsafe-inline" not in page.headers["content-security-policy"]
    assert re.findall(r'<script[^>]* src="([^"]+)"', page.text) == [address("scan.js"), address("page.js")]
    assert f'data-zxing-wasm="{address("zxing-reader.wasm")}"' in page.text
    assert "camera=(self)" in page.headers["permissions-policy"]


async def test_a_photograph_leads_to_the_labels_page(town: Town) -> None:
    bike, surfer = await a_bike(town), Surfer(town.world)

    answer = await upload(surfer, await picture_of(town, bike))

    assert (answer.status_code, answer.headers["location"]) == (303, path_of(bike))
    assert f"Bike {bike.device.number}" in (await surfer.follow(answer)).text


@pytest.mark.parametrize(
    ("photo", "status", "words"),
    [(b"GIF89a", 415, "This is not a picture"), (b"\x89PNG\r\n\x1a\n", 422, "The picture cannot be read")],
)
async def test_a_picture_that_is_none_is_refused_in_words(town: Town, photo: bytes, status: int, words: str) -> None:
    answer = await upload(Surfer(town.world), photo)

    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert "/scan/photo" in answer.text, "the form is there again"


async def test_a_photograph_from_another_page_is_refused(town: Town) -> None:
    bike = await a_bike(town)

    answer = await upload(Surfer(town.world), await picture_of(town, bike), token="x" * 22)

    assert answer.status_code in {403, 409}
    assert "has to be loaded again" in answer.text


async def test_a_photograph_that_another_site_sends_is_refused(town: Town) -> None:
    bike = await a_bike(town)

    answer = await upload(Surfer(town.world), await picture_of(town, bike), origin="https://evil.example")

    assert answer.status_code == 403


async def test_a_number_beside_the_thing_leads_to_its_labels_page(town: Town) -> None:
    bike = await a_bike(town)

    answer = await send_number(town, str(bike.device.number), HERE)

    assert (answer.status_code, answer.headers["location"]) == (303, path_of(bike))


@pytest.mark.parametrize("number", ["4711", "", "0", "12a", "9" * 10, "<b>"])
async def test_a_number_of_nothing_near_says_the_same_whatever_it_is(town: Town, number: str) -> None:
    answer = await send_number(town, number, HERE)

    assert answer.status_code == 404
    assert "Nothing near you has this number" in answer.text
    assert "<b>" not in answer.text


async def test_a_number_elsewhere_is_a_number_of_nothing(town: Town) -> None:
    bike = await a_bike(town)

    answer = await send_number(town, str(bike.device.number), ELSEWHERE)

    assert (answer.status_code, "Nothing near you has this number" in answer.text) == (404, True)


@pytest.mark.parametrize("place", [{}, {"lat": "", "lon": "", "accuracy_m": ""}, {**HERE, "accuracy_m": "5000"}])
async def test_without_a_position_the_page_says_how_to_go_on(town: Town, place: dict[str, str]) -> None:
    bike = await a_bike(town)

    answer = await send_number(town, str(bike.device.number), place)

    assert answer.status_code == 409
    assert "We need to know where you are" in answer.text
    assert "or send a photo of the label" in answer.text
    assert f'value="{bike.device.number}"' in answer.text, "what was typed is still there"


async def test_the_address_of_a_form_leads_back_to_the_page_in_the_language_asked_for(town: Town) -> None:
    answer = await town.world.client.get("/scan/number?lang=de")

    assert (answer.status_code, answer.headers["location"]) == (303, "/scan?lang=de")
