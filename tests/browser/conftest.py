"""One Chromium a worker, one house and one pair of hands a module; a new phone as often as a test asks for one.

A module that needs other settings of the service has a fixture ``house_settings`` of its own (scope module). When its
tests are over, the invariants are checked (DESIGN 7), and that the service has thrown no exception.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from simulators.hands import Hands
from simulators.riders import Api
from tests.support.browser import BIKES, PATIENCE_S, PODS, BrowserHouse, GetPhone, Phone, chromium, new_phone
from tests.support.quick_house import PEOPLE

expect.set_options(timeout=PATIENCE_S * 1000)


@pytest.fixture(scope="module")
def house_settings() -> dict[str, str]:
    """Return more ``UNLATCH_*`` settings for the module's house."""
    return {}


@pytest.fixture(scope="module")
def bikes_and_pods() -> tuple[int, int]:
    """Return how many of each the module's house has."""
    return BIKES, PODS


@pytest.fixture(scope="module")
def house(house_settings: dict[str, str], bikes_and_pods: tuple[int, int]) -> Iterator[BrowserHouse]:
    with BrowserHouse(house_settings) as made:
        made.open(*bikes_and_pods)
        yield made
        if mistakes := made.mistakes():
            pytest.fail(f"the service has made a mistake:\n{mistakes}", pytrace=False)
        assert made.violations() == {}


@pytest.fixture(scope="module")
def people(house: BrowserHouse) -> dict[str, str]:
    """Return the names of the house's people, one of each role."""
    assert house.operator_token
    return PEOPLE


@pytest.fixture(scope="session")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file that the phones' cameras show; write it with ``camera_clip`` before a page opens one."""
    return tmp_path_factory.mktemp("camera") / "clip.y4m"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(camera: Path) -> AsyncIterator[Browser]:
    async with chromium(camera) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def hands(house: BrowserHouse) -> AsyncIterator[Hands]:
    async with Hands(house.devices_dir) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def api(house: BrowserHouse) -> AsyncIterator[Api]:
    async with Api(house.url) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def phone(house: BrowserHouse, browser: Browser) -> AsyncIterator[GetPhone]:
    """Give phones. At the end of a test none of them may have had anything to complain about."""
    given: list[Phone] = []

    async def get(**options: Any) -> Phone:
        given.append(await new_phone(browser, house.page_url, **options))
        return given[-1]

    yield get
    for each in given:
        await each.context.close()
    assert [fault for each in given for fault in each.faults] == []
