"""``Idempotency-Key`` on every POST: one effect and one answer, however often and however many at once ask."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import Connection

from session_service.access import Role
from session_service.devices import service as devices
from session_service.idempotency import forget_before
from session_service.labels.token import LabelKeys
from session_service.operators import passwords
from session_service.operators import service as operators
from session_service.operators.service import By
from session_service.presence.service import Presence
from session_service.riders import service as riders
from session_service.sessions import repository
from session_service.sessions.machine import Event
from session_service.sessions.moves import Because
from session_service.sessions.service import Sessions
from simulators.bodies import SimulatedDevice
from tests.support.attacks import operations
from tests.support.authenticator import Authenticator
from tests.support.enrolling import Keys
from tests.support.people import signed_in
from tests.support.towns import Town, still
from tests.support.world import SOMEWHERE

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="module")]

Prepare = Callable[[Town], Awaitable[tuple[str, Any, Any]]]
"""Returns the path of a good request, its body, and another body that is good as well."""

WHY: Final = {"reason": "a test"}
OTHER_WHY: Final = {"reason": "another test"}
AT_ONCE: Final = 8
PASSWORD: Final = "eleven grey herons"
_numbers = iter(range(5_000, 9_000))
_asked_by: dict[str, dict[str, str]] = {}  # paths for which the operator of the town is the wrong one


def a_key() -> str:
    return secrets.token_urlsafe(18)


async def post(
    town: Town,
    path: str,
    body: object,
    key: str,
    *,
    by: dict[str, str] | None = None,
) -> httpx.Response:
    usual = town.world.operator if path.startswith("/v1/ops/") else town.rider.headers
    who = _asked_by.get(path, usual)
    headers = {**(who if by is None else by), "Idempotency-Key": key, "Prefer": "wait=10"}
    return await town.world.client.post(path, json=body, headers=headers)


# -- A good request to each operation


async def a_rider(_town: Town) -> tuple[str, Any, Any]:
    return "/v1/riders", {}, None


async def a_top_up(_town: Town) -> tuple[str, Any, Any]:
    return "/v1/wallet/top-ups", {"amount_minor": 500}, {"amount_minor": 501}


async def a_refund(town: Town) -> tuple[str, Any, Any]:
    town.rider = await town.world.rider()
    return "/v1/wallet/refunds", {"amount_minor": 500}, {"amount_minor": 501}


async def a_scan(town: Town) -> tuple[str, Any, Any]:
    label = town.bike.device.label
    return "/v1/scans", {"text": label}, {"text": label.lower()}


async def a_number(town: Town) -> tuple[str, Any, Any]:
    bike = await connected(town)
    await town.world.until_heard_of(bike)
    number = await town.world.scalar(f"SELECT number FROM device WHERE id = '{bike.device.id}'")  # noqa: S608 - our own
    wish = {"number": number, "position": {"lat": SOMEWHERE.lat, "lon": SOMEWHERE.lon, "accuracy_m": 10.0}}
    return "/v1/scans/number", wish, {**wish, "kind": "bike"}


async def a_start(town: Town) -> tuple[str, Any, Any]:
    bike = await connected(town)
    return "/v1/sessions", {"label": bike.device.label}, {"label": bike.device.label.lower()}


async def a_finish(town: Town) -> tuple[str, Any, Any]:
    return f"/v1/sessions/{await a_running_session(town, 'pod')}/finish", {}, None


async def a_pause(town: Town) -> tuple[str, Any, Any]:
    return f"/v1/sessions/{await a_running_session(town)}/pause", {}, None


async def a_resume(town: Town) -> tuple[str, Any, Any]:
    session_id = await a_running_session(town)
    await town.rider.press(session_id, "pause")
    return f"/v1/sessions/{session_id}/resume", {}, None


async def a_device(_town: Town) -> tuple[str, Any, Any]:
    bodies = [{"kind": "bike", "number": next(_numbers)} for _ in range(2)]
    return "/v1/ops/devices", *bodies  # type: ignore[return-value]


async def an_enrolment(town: Town) -> tuple[str, Any, Any]:
    path, body, _ = await a_device(town)
    made = (await post(town, path, body, a_key())).json()
    return "/v1/enrolments", Keys().application(made), Keys().application(made)


async def a_renewal(town: Town) -> tuple[str, Any, Any]:
    keys = Keys()
    path, body, _ = await a_device(town)
    made = (await post(town, path, body, a_key())).json()
    await post(town, "/v1/enrolments", keys.application(made), a_key())
    device_id = made["device_id"]
    return "/v1/enrolments/renewals", keys.renewal(device_id), keys.renewal(device_id)


async def a_claim(town: Town) -> tuple[str, Any, Any]:
    return f"/v1/ops/devices/{town.ids['device_id']}/claims", WHY, OTHER_WHY


async def a_revoked_device(town: Town) -> tuple[str, Any, Any]:
    return f"/v1/ops/devices/{(await connected(town)).device.id}/revoke", WHY, OTHER_WHY


async def a_maintenance(town: Town) -> tuple[str, Any, Any]:
    return f"/v1/ops/devices/{town.ids['device_id']}/maintenance", {"on": True, **WHY}, {"on": False, **WHY}


async def a_ready(town: Town) -> tuple[str, Any, Any]:
    device_id = (await connected(town)).device.id
    return f"/v1/ops/devices/{device_id}/ready", WHY, OTHER_WHY


async def a_cleared_alert(town: Town) -> tuple[str, Any, Any]:
    device_id = town.ids["device_id"]
    await town.world.context.database.write(lambda c: devices.open_alert(c, device_id, "jammed", "a test", 1))
    return f"/v1/ops/devices/{device_id}/alerts/jammed/clear", WHY, OTHER_WHY


async def an_alert(town: Town, verb: str) -> str:
    """Return the path of something to do about an alert, which is asked for with its version."""
    device_id, context = (await connected(town)).device.id, town.world.context
    await context.database.write(lambda c: devices.open_alert(c, device_id, "jammed", "a test", 1))
    alert_id = await town.world.scalar(f"SELECT id FROM device_alert WHERE device_id = '{device_id}'")  # noqa: S608
    path = f"/v1/ops/alerts/{alert_id}/{verb}"
    _asked_by[path] = {**town.world.operator, "If-Match": '"1"'}
    return path


async def an_acknowledged_alert(town: Town) -> tuple[str, Any, Any]:
    return await an_alert(town, "acknowledge"), {}, WHY


async def an_assigned_alert(town: Town) -> tuple[str, Any, Any]:
    return await an_alert(town, "assign"), {"assignee": None}, {"assignee": None, **WHY}


async def a_muted_alert(town: Town) -> tuple[str, Any, Any]:
    return await an_alert(town, "mute"), {"minutes": 5, **WHY}, {"minutes": 6, **WHY}


async def a_dismissed_alert(town: Town) -> tuple[str, Any, Any]:
    return await an_alert(town, "clear"), WHY, OTHER_WHY


async def a_visit(town: Town, verb: str) -> tuple[str, str]:
    """Return the path of something to do about a visit, and the id of its alert."""
    device_id, context = (await connected(town)).device.id, town.world.context
    await context.database.write(lambda c: devices.open_alert(c, device_id, "jammed", "a test", 1))
    alert_id = await town.world.scalar(f"SELECT id FROM device_alert WHERE device_id = '{device_id}'")  # noqa: S608
    path = f"/v1/ops/visits/{device_id}/{verb}"
    _asked_by[path] = {**town.world.operator, "If-Match": "*"}
    return path, str(alert_id)


async def an_assigned_visit(town: Town) -> tuple[str, Any, Any]:
    path, _ = await a_visit(town, "assign")
    return path, {"assignee": None}, {"assignee": None, **WHY}


async def a_view(_town: Town) -> tuple[str, Any, Any]:
    return "/v1/ops/views", {"name": "pods", "query": "kind=pod"}, {"name": "bikes", "query": "kind=bike"}


async def a_visit_note(town: Town) -> tuple[str, Any, Any]:
    path, _ = await a_visit(town, "notes")
    return path, {"text": "a test"}, {"text": "another test"}


async def a_visit_done(town: Town) -> tuple[str, Any, Any]:
    path, alert_id = await a_visit(town, "done")
    return path, {"alert_ids": [alert_id], **WHY}, {"alert_ids": [alert_id], **OTHER_WHY}


async def a_label(town: Town) -> tuple[str, Any, Any]:
    return f"/v1/ops/devices/{(await connected(town)).device.id}/labels", {}, None


async def a_label_id(town: Town) -> str:
    path, body, _ = await a_label(town)
    return str((await post(town, path, body, a_key())).json()["label_id"])


async def a_mounted_label(town: Town) -> tuple[str, Any, Any]:
    return f"/v1/ops/labels/{await a_label_id(town)}/mounted", WHY, OTHER_WHY


async def a_reinstated_label(town: Town) -> tuple[str, Any, Any]:
    return f"/v1/ops/labels/{await a_label_id(town)}/reinstate", WHY, OTHER_WHY


async def a_sheet(town: Town) -> tuple[str, Any, Any]:
    wish = {"device_ids": [(await connected(town)).device.id], "printed": True}
    return "/v1/ops/labels/sheets", wish, {**wish, "paper": "letter"}


async def a_label_key(_town: Town) -> tuple[str, Any, Any]:
    return "/v1/ops/label-keys/rotate", WHY, OTHER_WHY


async def a_retired_label_key(town: Town) -> tuple[str, Any, Any]:
    path, body, _ = await a_label_key(town)
    rotated = [(await post(town, path, body, a_key())).json()["keys"][-1]["key_id"] for _ in range(2)]
    return f"/v1/ops/label-keys/{rotated[0]}/retire", WHY, OTHER_WHY


async def a_policy(town: Town) -> tuple[str, Any, Any]:
    wish = {"confirm_number": "always", "distance": "never", "display_code": False, **WHY}
    return f"/v1/ops/devices/{(await connected(town)).device.id}/presence", wish, {**wish, "distance": "if_known"}


async def a_display_secret(town: Town) -> tuple[str, Any, Any]:
    return f"/v1/ops/devices/{(await connected(town)).device.id}/display-secret", WHY, OTHER_WHY


async def an_identification(town: Town) -> tuple[str, Any, Any]:
    label = (await connected(town)).device.label
    return "/v1/scans/identify", {"label": label}, {"label": label.lower()}


async def a_problem(town: Town) -> tuple[str, Any, Any]:
    said = {"kind": "another_one_opened"}
    return f"/v1/sessions/{await a_running_session(town)}/problems", said, {**said, "number": 3}


async def a_revocation(town: Town) -> tuple[str, Any, Any]:
    return f"/v1/ops/labels/{await a_label_id(town)}/revoke", WHY, OTHER_WHY


async def a_command(town: Town) -> tuple[str, Any, Any]:
    device_id = (await connected(town)).device.id
    return f"/v1/ops/devices/{device_id}/commands", {"action": "identify", **WHY}, {"action": "self_test", **WHY}


async def an_end(town: Town) -> tuple[str, Any, Any]:
    return f"/v1/ops/sessions/{await a_running_session(town)}/end", WHY, OTHER_WHY


async def a_previewed_decision(town: Town) -> tuple[str, Any, Any]:
    session_id, context = await a_running_session(town), town.world.context
    keys = LabelKeys.newest_current(context.secrets.label_keys)
    rules = Sessions(context.settings, context.clock, lambda: keys, Presence(context.settings, b""))

    def to_review(connection: Connection) -> None:
        session = repository.by_id(connection, session_id)
        assert session is not None
        now_ms = context.clock.now_ms()
        rules._to_review(connection, session, Event.PAST_CAP, Because("rule:test", now_ms, now_ms), "past_cap")

    await context.database.write(to_review)
    path = f"/v1/ops/sessions/{session_id}/decisions/preview"
    return path, {"choice": "no_charge", **WHY}, {"choice": "no_charge", **OTHER_WHY}


async def a_case_decision(town: Town) -> tuple[str, Any, Any]:
    path, body, other = await a_previewed_decision(town)
    path = path.removesuffix("/preview")
    case = await town.world.client.get(path.replace("/decisions", "/case"), headers=town.world.operator)
    _asked_by[path] = {**town.world.operator, "If-Match": case.headers["ETag"]}
    return path, body, other


TERMS: Final = {
    "unlock_fee_minor": 100,
    "interval_s": 60,
    "interval_price_minor": 20,
    "cap_minor": 2_000,
    "max_session_s": 86_400,
    "hold_minor": 500,
}


async def a_previewed_tariff(_town: Town) -> tuple[str, Any, Any]:
    path, wish = "/v1/ops/tariffs/preview", {"kind": "bike", "terms": TERMS}
    return path, wish, {**wish, "kind": "pod"}


async def a_tariff(town: Town) -> tuple[str, Any, Any]:
    path = "/v1/ops/tariffs"
    seen = await town.world.client.get(path, headers=town.world.operator)
    _asked_by[path] = {**town.world.operator, "If-Match": seen.headers["ETag"]}
    wish = {"kind": "bike", "terms": TERMS, "in_force_from_ms": 4_000_000_000_000}
    return path, {**wish, **WHY}, {**wish, **OTHER_WHY}


async def a_person(town: Town) -> str:
    """Return the name of an operator who signs in with the password."""
    name = a_key()
    by = By("cli:test", 1)
    hashed = passwords.hashed(PASSWORD, name)
    await town.world.context.database.write(lambda c: operators.add_person(c, name, hashed, Role.ADMIN, by))
    return name


async def a_sign_in(town: Town) -> tuple[str, Any, Any]:
    names = [await a_person(town) for _ in range(2)]
    bodies = [{"name": name, "password": PASSWORD} for name in names]
    return "/v1/ops/sign-ins", *bodies  # type: ignore[return-value]


async def a_password(town: Town) -> tuple[str, Any, Any]:
    path, body, _ = await a_sign_in(town)
    token = (await post(town, path, body, a_key())).json()["token"]
    path = "/v1/ops/sign-ins/current/password"
    _asked_by[path] = {"Authorization": f"Bearer {token}"}
    bodies = [{"old_password": PASSWORD, "new_password": f"{PASSWORD} {number}"} for number in range(2)]
    return path, *bodies  # type: ignore[return-value]


async def an_operator_id(town: Town) -> str:
    name = await a_person(town)
    return str(await town.world.scalar(f"SELECT id FROM operator WHERE name = '{name}'"))  # noqa: S608 - our own


async def a_role(town: Town) -> tuple[str, Any, Any]:
    path = f"/v1/ops/operators/{await an_operator_id(town)}/role"
    return path, {"role": "viewer", **WHY}, {"role": "technician", **WHY}


async def a_revoked_operator(town: Town) -> tuple[str, Any, Any]:
    return f"/v1/ops/operators/{await an_operator_id(town)}/revoke", WHY, OTHER_WHY


async def a_new_token(town: Town) -> tuple[str, Any, Any]:
    path = "/v1/riders/me/tokens"
    _asked_by[path] = (await town.world.rider()).headers
    return path, {}, None


async def a_passkey_made(town: Town, phone: Authenticator) -> dict[str, Any]:
    asked = await town.world.client.get("/v1/passkeys/options", headers=town.rider.headers)
    return {"credential": phone.create(asked.json())}


async def a_passkey(town: Town) -> tuple[str, Any, Any]:
    town.rider = await town.world.rider()
    phones = [Authenticator(town.world.context.settings.public_url) for _ in range(2)]
    bodies = [await a_passkey_made(town, phone) for phone in phones]
    return "/v1/passkeys", *bodies  # type: ignore[return-value]


async def a_passkey_sign_in(town: Town) -> tuple[str, Any, Any]:
    phone = Authenticator(town.world.context.settings.public_url)
    kept = await post(town, "/v1/passkeys", await a_passkey_made(town, phone), a_key())
    assert kept.status_code == 201, kept.text
    asked = [(await town.world.client.get("/v1/passkeys/sign-ins/options")).json() for _ in range(2)]
    bodies = [{"credential": phone.get(options)} for options in asked]
    return "/v1/passkeys/sign-ins", *bodies  # type: ignore[return-value]


async def an_erasure(town: Town) -> tuple[str, Any, Any]:
    path = "/v1/riders/me/erasure"
    _asked_by[path] = (await town.world.rider(funds_minor=0)).headers
    return path, {}, {"give_up_minor": 0}


async def an_approval(town: Town, verb: str) -> tuple[str, Any, Any]:
    """Let one person ask to open a pod that is let; another one decides."""
    session_id = await a_running_session(town, "pod")
    device_id = await town.world.scalar(f"SELECT device_id FROM session WHERE id = '{session_id}'")  # noqa: S608
    context = town.world.context
    asker, second = await context.database.write(
        lambda c: [signed_in(c, a_key(), Role.OPERATOR, context.settings.cell) for _ in range(2)]
    )
    ask = {"action": "unlock", **WHY}
    asked = await post(town, f"/v1/ops/devices/{device_id}/commands", ask, a_key(), by=asker)
    path = f"/v1/ops/approvals/{asked.json()['id']}/{verb}"
    _asked_by[path] = second
    return path, {"why": "a test"}, {"why": "another test"}


async def a_confirmation(town: Town) -> tuple[str, Any, Any]:
    return await an_approval(town, "confirm")


async def a_refusal(town: Town) -> tuple[str, Any, Any]:
    return await an_approval(town, "decline")


CASES: Final[dict[str, Prepare]] = {
    "/v1/ops/sign-ins": a_sign_in,
    "/v1/ops/sign-ins/current/password": a_password,
    "/v1/ops/operators/{operator_id}/role": a_role,
    "/v1/ops/operators/{operator_id}/revoke": a_revoked_operator,
    "/v1/riders": a_rider,
    "/v1/riders/me/tokens": a_new_token,
    "/v1/riders/me/erasure": an_erasure,
    "/v1/passkeys": a_passkey,
    "/v1/passkeys/sign-ins": a_passkey_sign_in,
    "/v1/wallet/top-ups": a_top_up,
    "/v1/wallet/refunds": a_refund,
    "/v1/scans": a_scan,
    "/v1/scans/number": a_number,
    "/v1/scans/identify": an_identification,
    "/v1/sessions": a_start,
    "/v1/sessions/{session_id}/finish": a_finish,
    "/v1/sessions/{session_id}/pause": a_pause,
    "/v1/sessions/{session_id}/resume": a_resume,
    "/v1/ops/devices": a_device,
    "/v1/enrolments": an_enrolment,
    "/v1/enrolments/renewals": a_renewal,
    "/v1/ops/devices/{device_id}/claims": a_claim,
    "/v1/ops/devices/{device_id}/revoke": a_revoked_device,
    "/v1/ops/devices/{device_id}/maintenance": a_maintenance,
    "/v1/ops/devices/{device_id}/ready": a_ready,
    "/v1/ops/devices/{device_id}/alerts/{kind}/clear": a_cleared_alert,
    "/v1/ops/views": a_view,
    "/v1/ops/visits/{stop_id}/assign": an_assigned_visit,
    "/v1/ops/visits/{stop_id}/notes": a_visit_note,
    "/v1/ops/visits/{stop_id}/done": a_visit_done,
    "/v1/ops/alerts/{alert_id}/acknowledge": an_acknowledged_alert,
    "/v1/ops/alerts/{alert_id}/assign": an_assigned_alert,
    "/v1/ops/alerts/{alert_id}/mute": a_muted_alert,
    "/v1/ops/alerts/{alert_id}/clear": a_dismissed_alert,
    "/v1/ops/devices/{device_id}/labels": a_label,
    "/v1/ops/labels/{label_id}/revoke": a_revocation,
    "/v1/ops/labels/{label_id}/mounted": a_mounted_label,
    "/v1/ops/labels/{label_id}/reinstate": a_reinstated_label,
    "/v1/ops/labels/sheets": a_sheet,
    "/v1/ops/label-keys/rotate": a_label_key,
    "/v1/ops/label-keys/{key_id}/retire": a_retired_label_key,
    "/v1/ops/devices/{device_id}/presence": a_policy,
    "/v1/ops/devices/{device_id}/display-secret": a_display_secret,
    "/v1/sessions/{session_id}/problems": a_problem,
    "/v1/ops/devices/{device_id}/commands": a_command,
    "/v1/ops/approvals/{approval_id}/confirm": a_confirmation,
    "/v1/ops/approvals/{approval_id}/decline": a_refusal,
    "/v1/ops/sessions/{session_id}/end": an_end,
    "/v1/ops/sessions/{session_id}/decisions/preview": a_previewed_decision,
    "/v1/ops/sessions/{session_id}/decisions": a_case_decision,
    "/v1/ops/tariffs": a_tariff,
    "/v1/ops/tariffs/preview": a_previewed_tariff,
}
WITHOUT_KEY: Final = {"/v1/payments/sandbox/webhooks"}  # a provider's message has an id of its own


async def connected(town: Town, kind: str = "bike") -> SimulatedDevice:
    """Return a new device that is free; the town's rider is now one who can pay for it."""
    town.rider = await town.world.rider()
    return await town.world.device(kind)


async def a_running_session(town: Town, kind: str = "bike") -> str:
    device = await connected(town, kind)
    return str((await town.rider.start(device.device.label)).json()["id"])


async def test_every_post_is_tried() -> None:
    posts = {operation.path for operation in operations() if operation.method == "POST"}

    assert posts == set(CASES) | WITHOUT_KEY


@pytest.mark.parametrize("operation", CASES)
async def test_the_same_request_many_times_at_once_has_one_effect_and_one_answer(
    town: Town,
    operation: str,
) -> None:
    path, body, other_body = await CASES[operation](town)
    key = a_key()
    answers = await asyncio.gather(*(post(town, path, body, key) for _ in range(AT_ONCE)))
    first = answers[0]
    assert first.is_success, first.text
    assert {(answer.status_code, answer.content) for answer in answers} == {(first.status_code, first.content)}
    before = await still(town.world)

    again = await post(town, path, body, key)
    other = await post(town, path, other_body, key)

    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert other.status_code == 409
    assert other.json()["type"] == "urn:unlatch:problem:idempotency-key-reused"
    assert await town.contents() == before
    assert sum(row[1] == key for row in before["idempotency"]) == 1


async def test_the_same_key_of_somebody_else_is_another_key(town: Town) -> None:
    key, body = a_key(), {"amount_minor": 500}
    other = (await town.world.rider()).headers

    mine = await post(town, "/v1/wallet/top-ups", body, key)
    theirs = await post(town, "/v1/wallet/top-ups", {"amount_minor": 700}, key, by=other)

    assert (mine.status_code, theirs.status_code) == (201, 201)
    assert mine.json()["id"] != theirs.json()["id"]
    assert theirs.json()["amount_minor"] == 700


async def test_the_same_key_of_another_operator_is_another_key(town: Town) -> None:
    _, token = await town.world.context.database.write(
        lambda c: operators.add(c, a_key(), actor="cli:test", now_ms=1, role=Role.ADMIN)
    )
    path, body, _ = await a_label(town)
    key = a_key()

    mine = await post(town, path, body, key)
    theirs = await post(town, path, body, key, by={"Authorization": f"Bearer {token}"})

    assert mine.json()["label_id"] != theirs.json()["label_id"]


async def test_a_revoked_token_gets_no_stored_answer_for_a_start(town: Town) -> None:
    bike = await connected(town)
    key = a_key()
    started = await town.rider.start(bike.device.label, key=key)
    assert started.status_code == 201
    rider_id = await town.world.scalar(f"SELECT rider_id FROM session WHERE id = '{started.json()['id']}'")  # noqa: S608
    await town.world.context.database.write(
        lambda c: riders.revoke_token(c, rider_id, at_ms=1, actor="cli:test", why="lost phone")
    )

    again = await town.rider.start(bike.device.label, key=key)

    assert (again.status_code, again.json()["type"]) == (401, "urn:unlatch:problem:not-signed-in")


async def test_a_key_that_guards_a_token_must_be_hard_to_guess(town: Town) -> None:
    before = await town.contents()

    answer = await post(town, "/v1/riders", {}, "x" * 21)

    assert answer.status_code == 422
    assert "22" in answer.json()["detail"]
    assert await town.contents() == before
    assert (await post(town, "/v1/riders", {}, a_key()[:22])).status_code == 201


async def test_a_stranger_with_a_riders_key_gets_no_token(town: Town) -> None:
    key = a_key()
    mine = await post(town, "/v1/riders", {}, key, by={})

    theirs = await post(town, "/v1/riders", {}, key, by={"Authorization": "Bearer something"})

    assert theirs.json()["rider_id"] != mine.json()["rider_id"]


async def test_the_key_of_a_request_that_failed_may_be_tried_again(town: Town) -> None:
    bike = await connected(town)
    maintenance = f"/v1/ops/devices/{bike.device.id}/maintenance"
    await post(town, maintenance, {"on": True, **WHY}, a_key())
    key = a_key()
    before = await still(town.world)
    failed = await town.rider.start(bike.device.label, key=key)
    assert failed.status_code == 409
    assert await town.contents() == before
    await post(town, maintenance, {"on": False, **WHY}, a_key())

    started = await town.rider.start(bike.device.label, key=key)

    assert started.status_code == 201
    assert started.json()["state"] == "active"


async def test_a_key_is_free_again_after_a_malformed_request(town: Town) -> None:
    key = a_key()
    assert (await post(town, "/v1/wallet/top-ups", {"amount_minor": -1}, key)).status_code == 422

    answer = await post(town, "/v1/wallet/top-ups", {"amount_minor": 500}, key)

    assert answer.status_code == 201


async def test_old_answers_are_forgotten_and_newer_ones_stay(town: Town) -> None:
    key, now_ms = a_key(), town.world.context.clock.now_ms()
    first = await post(town, "/v1/scans", {"text": town.bike.device.label}, key)
    rows = f"SELECT count(*) FROM idempotency WHERE key = '{key}'"  # noqa: S608

    await town.world.context.database.write(lambda c: forget_before(c, now_ms))
    kept = await town.world.scalar(rows)
    await town.world.context.database.write(lambda c: forget_before(c, now_ms + 60_000))

    assert first.is_success, first.text
    assert (kept, await town.world.scalar(rows)) == (1, 0)
