"""Two operators and a pod in which somebody may be, over the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import Connection, text

from broker.contract.keys import new_report_key, public_pem
from session_service.access import Role
from session_service.commands.dispatcher import Dispatcher
from session_service.context import Context
from session_service.database import Database
from session_service.devices import service as devices
from session_service.devices.model import Kind
from session_service.devices.service import NewDevice
from session_service.operators import service as operators
from tests.session_service.ledger.app import KEY, Api, problem, serving
from tests.support.people import signed_in

PEM: Final = public_pem(new_report_key().public_key())
OTHER_KEY: Final = "another-idempotency-key-of-32-ch"
WHY: Final = {"why": "I see it too"}


@dataclass
class Scene:
    """A pod with somebody in it, and the people who look after it; what goes out is in ``sent``."""

    api: Api
    pod: str
    people: dict[str, dict[str, str]]
    sent: list[str]

    async def ask(self, who: str = "ada", action: str = "unlock", key: str = KEY) -> httpx.Response:
        path = f"/v1/ops/devices/{self.pod}/commands"
        return await self.post(who, path, {"action": action, "reason": "an alarm inside"}, key)

    async def decide(self, who: str, approval_id: str, verb: str = "confirm", key: str = OTHER_KEY) -> httpx.Response:
        return await self.post(who, f"/v1/ops/approvals/{approval_id}/{verb}", WHY, key)

    async def post(self, who: str, path: str, body: Any, key: str) -> httpx.Response:
        headers = {**self.people[who], "Idempotency-Key": key}
        return await self.api.http.post(path, json=body, headers=headers)

    async def listed(self, who: str = "vic", *, waiting: bool = True) -> list[dict[str, Any]]:
        answer = await self.api.http.get("/v1/ops/approvals", params={"waiting": waiting}, headers=self.people[who])
        found: list[dict[str, Any]] = answer.json()["approvals"]
        return found


@pytest.fixture
async def scene(database: Database) -> AsyncIterator[Scene]:
    async with serving(database) as api:
        app: Any = api.http._transport.app  # type: ignore[attr-defined]
        context: Context = app.state.context
        sent: list[str] = []

        async def publish(topic: str, _payload: bytes, _qos: int) -> None:
            sent.append(topic)

        app.state.dispatcher = Dispatcher(database, context.clock, context.secrets)
        app.state.dispatcher.publish = publish
        cell = context.settings.cell

        def settle(c: Connection) -> tuple[str, dict[str, dict[str, str]]]:
            roles = {"ada": Role.OPERATOR, "bea": Role.OPERATOR, "tom": Role.TECHNICIAN, "vic": Role.VIEWER}
            people = {name: signed_in(c, name, role, cell) for name, role in roles.items()}
            _, token = operators.add(c, "program", actor="cli:tests", now_ms=1, role=Role.ADMIN, cell=cell)
            return _pod(c), {**people, "program": {"Authorization": f"Bearer {token}"}}

        pod, people = await database.write(settle)
        yield Scene(api, pod, people, sent)


def _pod(c: Connection) -> str:
    pod = devices.register(c, NewDevice(Kind.POD, 1, PEM), devices.By("cli:tests", "", 1)).id
    c.execute(text(f"INSERT INTO device_boot VALUES ('{pod}', 'boot', 1000, 1000)"))  # noqa: S608
    c.execute(
        text(f"UPDATE device_state SET boot_id = 'boot', occupied = :yes WHERE device_id = '{pod}'"),  # noqa: S608
        {"yes": True},
    )
    return pod


async def test_it_waits_and_then_goes_out_under_both_names(scene: Scene) -> None:
    asked = await scene.ask()
    assert asked.status_code == 201
    assert (asked.json()["state"], asked.json()["command_id"]) == ("pending", None)
    assert [row["id"] for row in await scene.listed()] == [asked.json()["id"]]
    assert scene.sent == []

    confirmed = await scene.decide("bea", asked.json()["id"])

    assert confirmed.status_code == 202
    command = confirmed.json()
    assert (command["action"], command["asked_by"]) == ("unlock", asked.json()["asked_by"])
    assert command["approved_by"] not in {None, command["asked_by"]}
    assert scene.sent == [f"u1/{scene.pod}/cmd"]
    assert await scene.listed() == []
    [after] = await scene.listed(waiting=False)
    assert (after["state"], after["command_id"], after["decided_why"]) == ("confirmed", command["id"], "I see it too")
    shown = await scene.api.http.get(f"/v1/ops/commands/{command['id']}", headers=scene.people["vic"])
    assert shown.json()["approved_by"] == command["approved_by"]


async def test_repeated_requests_ask_and_send_once(scene: Scene) -> None:
    asked = [await scene.ask() for _ in range(2)]
    assert asked[0].json() == asked[1].json()
    confirmed = [await scene.decide("bea", asked[0].json()["id"]) for _ in range(2)]
    assert confirmed[0].json() == confirmed[1].json()
    assert len(scene.sent) == 1


async def test_whoever_asked_cannot_confirm(scene: Scene) -> None:
    asked = (await scene.ask()).json()
    assert problem(await scene.decide("ada", asked["id"])) == (403, "second-person-needed")
    assert scene.sent == []


@pytest.mark.parametrize("who", ["tom", "vic"])
async def test_a_role_that_may_not_open_from_afar_cannot_confirm(scene: Scene, who: str) -> None:
    asked = (await scene.ask()).json()
    for verb in ("confirm", "decline"):
        assert (await scene.decide(who, asked["id"], verb)).status_code == 403
    assert [row["id"] for row in await scene.listed()] == [asked["id"]]


async def test_a_program_can_neither_ask_nor_confirm(scene: Scene) -> None:
    assert problem(await scene.ask("program")) == (403, "person-needed")
    asked = (await scene.ask()).json()
    assert problem(await scene.decide("program", asked["id"])) == (403, "person-needed")
    assert scene.sent == []


async def test_what_opens_nothing_goes_out_at_once(scene: Scene) -> None:
    assert (await scene.ask("tom", "identify")).status_code == 202
    assert len(scene.sent) == 1


async def test_declined_is_declined(scene: Scene) -> None:
    asked = (await scene.ask()).json()
    declined = await scene.decide("bea", asked["id"], "decline")
    assert (declined.status_code, declined.json()["state"]) == (200, "declined")
    assert problem(await scene.decide("bea", asked["id"], key="k" * 32)) == (409, "approval-decided")
    assert scene.sent == []


async def test_one_that_there_is_not_is_not_found(scene: Scene) -> None:
    assert problem(await scene.decide("bea", "0" * 26)) == (404, "not-found")


async def test_no_reason_no_decision(scene: Scene) -> None:
    asked = (await scene.ask()).json()
    answer = await scene.post("bea", f"/v1/ops/approvals/{asked['id']}/confirm", {"why": ""}, KEY)
    assert problem(answer) == (422, "malformed-request")


# -- The audit over the API


async def test_the_audit_names_both(scene: Scene) -> None:
    asked = (await scene.ask()).json()
    command = (await scene.decide("bea", asked["id"])).json()
    answer = await scene.api.http.get(
        "/v1/ops/audit", params={"subject": f"device:{scene.pod}"}, headers=scene.people["ada"]
    )
    rows = answer.json()["rows"]
    assert [(row["actor"], row["action"]) for row in rows] == [
        (command["approved_by"], "approval.confirm unlock"),
        (command["asked_by"], "command unlock"),
        (command["asked_by"], "approval.ask unlock"),
        ("cli:tests", "device.register"),
    ]
    assert all(rows[i]["previous"] == rows[i + 1]["hash"] for i in range(2))


async def test_the_audit_comes_in_pages_and_by_actor(scene: Scene) -> None:
    async def page(**wanted: Any) -> dict[str, Any]:
        answer = await scene.api.http.get("/v1/ops/audit", params=wanted, headers=scene.people["ada"])
        found: dict[str, Any] = answer.json()
        return found

    everything = (await page())["rows"]
    first = await page(limit=2)
    rest = await page(before=first["next_before"], limit=500)
    assert first["rows"] + rest["rows"] == everything
    assert rest["next_before"] is None
    assert [row["id"] for row in everything] == list(range(len(everything), 0, -1))
    mine = (await page(actor="cli:tests"))["rows"]
    assert mine == [row for row in everything if row["actor"] == "cli:tests"] != []


async def test_the_audit_is_for_operators(scene: Scene) -> None:
    statuses = [
        (await scene.api.http.get("/v1/ops/audit", headers=scene.people[who])).status_code for who in ("tom", "vic")
    ]
    assert statuses == [403, 403]
    assert (await scene.api.http.get("/v1/ops/audit")).status_code == 401
