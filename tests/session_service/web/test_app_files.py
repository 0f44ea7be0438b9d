from __future__ import annotations

import io
import json

import pytest
from PIL import Image

from session_service.web.app_files import KEPT, worker
from session_service.web.static_files import address
from tests.support.pages import Surfer
from tests.support.towns import Town

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="module")]


def kept(text: str) -> dict[str, object]:
    first, _, _ = text.partition(";\n")
    found: dict[str, object] = json.loads(first.removeprefix("const KEPT = "))
    return found


async def test_the_manifest_names_pictures_that_are_there(town: Town) -> None:
    answer = await town.world.client.get("/manifest.webmanifest?lang=de")
    facts = answer.json()

    assert answer.headers["content-type"] == "application/manifest+json"
    assert answer.headers["cache-control"] == "private, max-age=3600"
    assert (facts["lang"], facts["name"], facts["display"], facts["start_url"]) == ("de", "Unlatch", "standalone", "/")
    for icon in facts["icons"]:
        picture = await town.world.client.get(icon["src"])
        assert picture.headers["content-type"] == icon["type"]
        if icon["sizes"] != "any":
            with Image.open(io.BytesIO(picture.content)) as opened:
                assert "x".join(map(str, opened.size)) == icon["sizes"]
    assert {icon["purpose"] for icon in facts["icons"]} == {"any", "maskable"}
    assert [shortcut["url"] for shortcut in facts["shortcuts"]] == ["/scan", "/nearby", "/wallet"]


async def test_the_worker_keeps_the_offline_page_and_nothing_that_can_be_wrong(town: Town) -> None:
    answer = await town.world.client.get("/sw.js")
    known = kept(answer.text)

    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["content-security-policy"] == "default-src 'none'; connect-src 'self'"
    assert known["offline"] == "/offline"
    assert known["files"] == [address(name) for name in KEPT]
    for path in ("/offline", *map(address, KEPT)):
        assert (await town.world.client.get(path)).status_code == 200


async def test_what_the_offline_page_loads_is_kept(town: Town) -> None:
    page = (await town.world.client.get("/offline")).text

    for name in ("page.js", "offline.js", "icons/icon.svg"):
        assert f'"{address(name)}"' in page
    assert page.count("/static/") == 3


async def test_a_worker_is_another_one_in_another_language(town: Town) -> None:
    surfer = Surfer(town.world)
    english = kept((await surfer.open("/sw.js")).text)
    again = kept((await surfer.open("/sw.js")).text)
    await surfer.open("/?lang=de")
    german = kept((await surfer.open("/sw.js")).text)

    assert english == again
    assert german["version"] != english["version"]
    assert german["files"] == english["files"]


async def test_a_worker_is_another_one_when_what_it_keeps_changes() -> None:
    first = kept(worker("a", b"b"))["version"]

    assert kept(worker("a", b"c"))["version"] != first
    assert kept(worker("b", b"b"))["version"] != first


async def test_browsers_that_look_for_an_icon_get_one(town: Town) -> None:
    answer = await town.world.client.get("/favicon.ico")

    assert answer.headers["content-type"] == "image/x-icon"
    with Image.open(io.BytesIO(answer.content)) as icon:
        assert icon.size == (32, 32)
