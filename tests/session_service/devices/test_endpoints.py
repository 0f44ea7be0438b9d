from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy import Connection, text

from broker.contract.keys import new_report_key, public_pem
from session_service.clock import Clock
from session_service.context import Context
from session_service.database import Database
from session_service.devices import service
from session_service.devices.endpoints import router
from session_service.devices.model import Service
from session_service.errors import Problem
from session_service.operators import service as operators
from session_service.secrets import load_secrets, make_secrets
from session_service.settings import Settings

PEM = public_pem(new_report_key().public_key())


async def problem(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return JSONResponse(error.as_json(), error.status, media_type="application/problem+json")


@pytest.fixture(scope="session")
def secrets_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secrets")
    make_secrets(folder)
    return folder


@pytest.fixture
def context(database: Database, secrets_dir: Path) -> Context:
    return Context(Settings(secrets_dir=secrets_dir), load_secrets(secrets_dir), Clock(), database)


@pytest.fixture
async def api(context: Context) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(router)
    app.add_exception_handler(Problem, problem)
    app.state.context = context

    def add(connection: Connection) -> str:
        return operators.add(connection, "Ada", actor="test", now_ms=context.clock.now_ms())[1]

    token = await context.database.write(add)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://unlatch", headers=headers
    ) as client:
        yield client


async def register(api: httpx.AsyncClient, number: int = 17, **more: object) -> httpx.Response:
    return await api.post("/v1/ops/devices", json={"kind": "pod", "number": number, "report_key_pem": PEM, **more})


async def test_a_device_is_registered_and_seen(api: httpx.AsyncClient, context: Context) -> None:
    answer = await register(api, site="Harbour", lat=1.5, lon=2.5)
    assert answer.status_code == 201
    made = answer.json()
    assert made["command_keys"] == {
        context.secrets.command_key_id: public_pem(context.secrets.command_key.public_key())
    }
    seen = (await api.get(f"/v1/ops/devices/{made['device_id']}")).json()
    assert (seen["device_id"], seen["number"], seen["kind"], seen["site"]) == (made["device_id"], 17, "pod", "Harbour")
    assert (seen["service"], seen["presence"], seen["age_s"], seen["seen_at"]) == ("ready", "offline", None, None)
    assert (seen["alerts"], seen["session_id"]) == ([], None)


async def test_the_change_is_the_operators(api: httpx.AsyncClient, context: Context) -> None:
    await register(api)
    actor = await context.database.read(
        lambda c: c.execute(text("SELECT actor FROM audit WHERE action = 'device.register'")).scalar()
    )
    operator = await context.database.read(lambda c: c.execute(text("SELECT id FROM operator")).scalar())
    assert actor == f"operator:{operator}"


async def test_a_repeated_registration_is_answered_again(api: httpx.AsyncClient) -> None:
    api.headers["Idempotency-Key"] = "register-17"
    first, again = await register(api), await register(api)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    other = await register(api, 18)
    assert (other.status_code, other.json()["type"]) == (409, "urn:unlatch:problem:idempotency-key-reused")


async def test_a_taken_number_is_a_conflict(api: httpx.AsyncClient) -> None:
    await register(api)
    answer = await register(api)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:unlatch:problem:number-taken")


async def test_the_state_has_an_age(api: httpx.AsyncClient, context: Context) -> None:
    device = (await register(api)).json()["device_id"]
    seen_at_ms = context.clock.now_ms() - 60_000
    await context.database.write(
        lambda c: c.execute(text("UPDATE device_state SET seen_at_ms = :at"), {"at": seen_at_ms})
    )
    seen = (await api.get(f"/v1/ops/devices/{device}")).json()
    assert 60 <= seen["age_s"] < 70
    assert seen["presence"] == "stale"


async def test_the_list_is_paged_and_filtered(api: httpx.AsyncClient) -> None:
    for number in (5, 3, 9):
        await register(api, number)
    page = (await api.get("/v1/ops/devices", params={"limit": 2})).json()
    assert ([device["number"] for device in page["devices"]], page["next_after"]) == ([3, 5], 5)
    rest = (await api.get("/v1/ops/devices", params={"limit": 2, "after": 5})).json()
    assert ([device["number"] for device in rest["devices"]], rest["next_after"]) == ([9], None)
    for nobody in ({"kind": "bike"}, {"service": "held"}, {"presence": "online"}):
        assert (await api.get("/v1/ops/devices", params=nobody)).json()["devices"] == []


async def test_maintenance_and_ready(api: httpx.AsyncClient, context: Context) -> None:
    device = (await register(api)).json()["device_id"]
    path = f"/v1/ops/devices/{device}"
    on = await api.post(f"{path}/maintenance", json={"on": True, "reason": "brake"})
    assert (on.status_code, on.json()["service"], on.json()["service_reason"]) == (200, "maintenance", "brake")
    refused = await api.post(f"{path}/ready", json={"reason": "looked"})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:unlatch:problem:in-maintenance")
    off = await api.post(f"{path}/maintenance", json={"on": False, "reason": "mended"})
    assert off.json()["service"] == "ready"

    def clean(connection: Connection) -> None:
        service.set_service(connection, device, Service.CLEANING, actor="rule:x", why="", now_ms=0)

    await context.database.write(clean)
    ready = await api.post(f"{path}/ready", json={"reason": "clean"})
    assert (ready.status_code, ready.json()["service"]) == (200, "ready")


async def test_maintenance_says_that_a_session_runs(api: httpx.AsyncClient, context: Context) -> None:
    device = (await register(api)).json()["device_id"]
    await context.database.write(lambda c: start_session(c, device))
    on = await api.post(f"/v1/ops/devices/{device}/maintenance", json={"on": True, "reason": "brake"})
    assert (on.json()["service"], on.json()["session_id"]) == ("maintenance", "S1")


def start_session(connection: Connection, device: str) -> None:
    for statement in (
        "INSERT INTO rider (id, token_nonce, created_at_ms) VALUES ('R1', 'n', 0)",
        (
            "INSERT INTO label (id, device_id, generation, minted_at_ms, key_id, suspended_reason, revoked_reason)"
            " VALUES ('L1', :d, 1, 0, 'A', '', '')"
        ),
        (
            "INSERT INTO session (id, rider_id, device_id, label_id, kind, number, state, currency, tariff, hold_id,"
            " hold_minor, command_id, created_at_real_ms, requested_at_ms, fare_minor, paid_minor, version)"
            " VALUES ('S1', 'R1', :d, 'L1', 'pod', 17, 'active', 'EUR', '', 'H1', 5, 'C1', 0, 0, 0, 0, 0)"
        ),
    ):
        connection.execute(text(statement), {"d": device} if ":d" in statement else {})


async def test_an_alert_is_shown_and_cleared(api: httpx.AsyncClient, context: Context) -> None:
    device = (await register(api)).json()["device_id"]
    await context.database.write(lambda c: service.open_alert(c, device, "jammed", "twice", 0))
    path = f"/v1/ops/devices/{device}"
    assert (await api.get(path)).json()["alerts"] == [
        {"kind": "jammed", "detail": "twice", "opened_at": "1970-01-01T00:00:00.000Z"}
    ]
    cleared = await api.post(f"{path}/alerts/jammed/clear", json={"reason": "oiled"})
    assert (cleared.status_code, cleared.json()["alerts"]) == (200, [])
    again = await api.post(f"{path}/alerts/jammed/clear", json={"reason": "oiled"})
    assert again.status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "boat"},
        {"number": 0},
        {"number": 2**31},
        {"number": 10**400},
        {"number": "17"[:0]},
        {"report_key_pem": "x"},
        {"report_key_pem": "x" * 100_000},
        {"site": "a\x00b"},
        {"site": "x" * 201},
        {"lat": 91, "lon": 0},
        {"lat": 1},
        {"surprise": 1},
    ],
)
async def test_bad_input_is_refused(api: httpx.AsyncClient, body: dict[str, Any]) -> None:
    whole = {"kind": "pod", "number": 17, "report_key_pem": PEM, **body} if body else body
    answer = await api.post("/v1/ops/devices", json=whole)
    assert answer.status_code == 422
    assert (await api.get("/v1/ops/devices")).json()["devices"] == []


@pytest.mark.parametrize("device", ["0000000000", "short", "%00", "0000000000%0A", "x" * 5_000])
async def test_unknown_devices_are_4xx(api: httpx.AsyncClient, device: str) -> None:
    for answer in (
        await api.get(f"/v1/ops/devices/{device}"),
        await api.post(f"/v1/ops/devices/{device}/maintenance", json={"on": True, "reason": "x"}),
        await api.post(f"/v1/ops/devices/{device}/ready", json={"reason": "x"}),
        await api.post(f"/v1/ops/devices/{device}/alerts/jammed/clear", json={"reason": "x"}),
    ):
        assert answer.status_code in {404, 422}


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer op_nobody", "Basic b3A6", "bearer  "])
async def test_without_a_valid_token_nothing_is_shown_or_done(api: httpx.AsyncClient, authorization: str) -> None:
    for answer in (
        await api.get("/v1/ops/devices", headers={"Authorization": authorization}),
        await api.post(
            "/v1/ops/devices",
            headers={"Authorization": authorization},
            json={"kind": "pod", "number": 17, "report_key_pem": PEM},
        ),
    ):
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:unlatch:problem:not-signed-in")
    assert (await api.get("/v1/ops/devices")).json()["devices"] == []
