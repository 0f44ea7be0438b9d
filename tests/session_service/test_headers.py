"""What every answer says to browsers: pages, JSON, problems, refusals and files."""

from __future__ import annotations

import base64
import hashlib
import re
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from session_service.headers import ALWAYS, SecurityHeaders
from tests.support.towns import Town

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="module")]


async def answers(town: Town) -> dict[str, httpx.Response]:
    client, label = town.world.client, urlsplit(town.bike.device.label).path
    rider, operator = town.rider.headers, town.world.operator
    return {
        "page": await client.get(label),
        "page of a forged label": await client.get(f"{label}0"),
        "JSON": await client.get("/v1/wallet", headers=rider),
        "problem": await client.get("/v1/wallet"),
        "malformed": await client.post("/v1/sessions", json={}, headers=rider),
        "unknown path": await client.get("/nothing"),
        "wrong method": await client.delete("/v1/wallet"),
        "too long": await client.post(
            "/v1/riders", content=b"x" * 70_000, headers={"Content-Type": "application/json"}
        ),
        "picture": await client.get(f"/v1/ops/labels/{town.ids['label_id']}.svg", headers=operator),
        "figures": await client.get("/metrics"),
        "health": await client.get("/healthz"),
        "document": await client.get("/openapi.json"),
        "stream": await client.get(f"/v1/sessions/{town.ids['session_id']}/events", headers=rider),
    }


async def test_every_answer_has_every_header_once(town: Town) -> None:
    for what, answer in (await answers(town)).items():
        for name in ALWAYS:
            assert len(answer.headers.get_list(name)) == 1, (what, name)
        assert answer.headers["x-content-type-options"] == "nosniff", what
        assert answer.headers["cache-control"].startswith(("no-store", "no-cache")), what
        assert "server" not in answer.headers or answer.headers["server"] == "uvicorn", what


async def test_nothing_may_be_loaded_framed_or_posted_anywhere(town: Town) -> None:
    for what, answer in (await answers(town)).items():
        policy = answer.headers["content-security-policy"]
        forms = "form-action 'self'" if "page" in what else "form-action 'none'"
        for rule in ("default-src 'none'", "base-uri 'none'", forms, "frame-ancestors 'none'"):
            assert rule in policy, (what, rule)
        assert "unsafe" not in policy, what
        assert "*" not in policy, what


async def test_the_label_pages_policy_lets_its_own_style_be_and_nothing_else(town: Town) -> None:
    answer = await town.world.client.get(urlsplit(town.bike.device.label).path)
    styles = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    assert len(styles) == 1
    digest = base64.b64encode(hashlib.sha256(styles[0].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in answer.headers["content-security-policy"]
    assert "style=" not in answer.text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "<script>" not in answer.text


async def test_camera_and_position_are_for_our_own_pages_alone(town: Town) -> None:
    policy = (await town.world.client.get("/healthz")).headers["permissions-policy"]
    assert {"camera=(self)", "geolocation=(self)", "microphone=()"} <= set(policy.split(", "))


async def test_outside_a_demo_there_is_no_page_that_loads_from_elsewhere(town: Town) -> None:
    assert (await town.world.client.get("/docs")).status_code == 404


@pytest.mark.parametrize(("https", "said"), [(True, True), (False, False)])
async def test_browsers_are_bound_to_https_only_where_riders_use_it(https: bool, said: bool) -> None:  # noqa: FBT001
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("", headers={"Cache-Control": "max-age=60"})(scope, receive, send)

    transport = httpx.ASGITransport(SecurityHeaders(app, https=https))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        answer = await client.get("/")
    assert ("strict-transport-security" in answer.headers) is said
    assert answer.headers["cache-control"] == "max-age=60"  # an answer's own word stays
