"""The page of what is free: a list without a script, what the map draws, and what it may load."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import text

from session_service.devices.model import Kind
from session_service.errors import SetupError
from session_service.finding.repository import Area
from session_service.settings import Settings, load_settings
from session_service.web.nearby_pages import around, minutes_s, policy
from tests.support.pages import Surfer
from tests.support.towns import Town
from tests.support.world import SOMEWHERE

TILES = "https://tiles.example/{z}/{x}/{y}.png"
NEAR = f"/nearby?lat={SOMEWHERE.lat + 0.003}&lon={SOMEWHERE.lon}"


async def stands(town: Town, kind: str = "bike") -> int:
    """Put up a device that has just said where it is; return its number."""
    device, now_ms = await town.world.device(kind), town.world.context.clock.now_ms()
    values = {"lat": SOMEWHERE.lat, "lon": SOMEWHERE.lon, "now": now_ms, "id": device.device.id}
    statement = text("UPDATE device_state SET lat = :lat, lon = :lon, position_at_ms = :now WHERE device_id = :id")
    await town.world.context.database.write(lambda c: c.execute(statement, values))
    return device.device.number


def items(page: str) -> list[dict[str, str]]:
    return [dict(re.findall(r'data-(\w+)="([^"]*)"', item)) for item in re.findall(r"<li data-[^>]*>", page)]


@pytest.mark.server
@pytest.mark.asyncio(loop_scope="module")
async def test_near_a_point_the_list_says_distance_and_walk_in_words(town: Town) -> None:
    number = await stands(town)

    page = await Surfer(town.world).open(NEAR)

    assert page.status_code == 200
    assert "<strong>Bike</strong> · 330 m" in page.text
    assert "6 minutes on foot" in page.text
    assert "€0.50 to open" in page.text
    assert {"lat": str(SOMEWHERE.lat), "lon": str(SOMEWHERE.lon), "kind": "bike"} in items(page.text)
    assert str(number) not in page.text


@pytest.mark.server
@pytest.mark.asyncio(loop_scope="module")
async def test_kinds_can_be_told_apart(town: Town) -> None:
    await stands(town)
    await stands(town, "pod")
    surfer = Surfer(town.world)

    assert {item["kind"] for item in items((await surfer.open(NEAR)).text)} == {"bike", "pod"}
    assert {item["kind"] for item in items((await surfer.open(f"{NEAR}&kind=pod")).text)} == {"pod"}


@pytest.mark.server
@pytest.mark.asyncio(loop_scope="module")
async def test_without_a_point_the_city_is_listed_by_areas(town: Town) -> None:
    await stands(town)

    page = await Surfer(town.world).open("/nearby")

    assert "In the city" in page.text
    assert "in the centre" in page.text
    assert any(item["kind"] == "bike" and int(item["free"]) >= 1 for item in items(page.text))


@pytest.mark.server
@pytest.mark.asyncio(loop_scope="module")
async def test_where_nothing_is_free_the_page_says_so_and_leads_on(town: Town) -> None:
    page = await Surfer(town.world).open("/nearby?lat=-45&lon=170")

    assert "Nothing is free within 2 km" in page.text
    assert 'href="/nearby"' in page.text


@pytest.mark.server
@pytest.mark.asyncio(loop_scope="module")
async def test_the_page_loads_nothing_of_others_without_tiles(town: Town) -> None:
    page = await Surfer(town.world).open("/nearby")

    words = page.headers["content-security-policy"]
    assert "img-src 'self';" in words
    assert "https:" not in words


def test_only_the_origin_of_the_tiles_may_be_asked_for_pictures() -> None:
    added = policy(Settings(map_tiles=TILES))

    assert added["img-src"] == "data: https://tiles.example"
    assert policy(Settings()) == {"style-src": "'self'"}


@pytest.mark.parametrize(
    "wrong", ["http://tiles.example/{z}/{x}/{y}.png", "https://tiles.example/{z}/{x}.png", "https://a;b/{z}/{x}/{y}"]
)
def test_an_address_of_tiles_that_is_none_stops_the_start(wrong: str) -> None:
    with pytest.raises(SetupError, match="UNLATCH_MAP_TILES"):
        load_settings(map_tiles=wrong)


@pytest.mark.parametrize(
    ("north", "east", "direction"),
    [
        (0.02, 0, "to the north"), (0.02, 0.03, "to the north-east"), (0, 0.03, "to the east"),
        (-0.02, 0.03, "to the south-east"), (-0.02, 0, "to the south"), (-0.02, -0.03, "to the south-west"),
        (0, -0.03, "to the west"), (0.02, -0.03, "to the north-west"), (0.003, 0, None),
    ],
)  # fmt: skip
def test_areas_lie_where_people_say(north: float, east: float, direction: str | None) -> None:
    area = Area(Kind.BIKE, 48.2 + north, 16.37 + east, 3)

    assert around((48.2, 16.37), area).direction == direction


@pytest.mark.parametrize(("walk_s", "said_s"), [(0, 60), (60, 60), (61, 120), (1_199, 1_200)])
def test_a_walk_is_said_in_whole_minutes(walk_s: int, said_s: int) -> None:
    assert minutes_s(walk_s) == said_s
