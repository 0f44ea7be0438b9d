"""A ride's page: one screen for each state, and buttons that lead to the money table's outcomes."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx
import pytest

from session_service.sessions.machine import SessionState
from session_service.web.pages import TEMPLATES
from simulators.bodies import SimulatedDevice
from tests.support.pages import Surfer, forms
from tests.support.towns import Town
from tests.support.world import until

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="module")]

STORED = frozenset(SessionState) - {SessionState.REQUESTED, SessionState.REFUSED}  # a refusal stores nothing


async def started(town: Town, device: SimulatedDevice, language: str = "en") -> tuple[Surfer, httpx.Response]:
    """Press Start as a rider with money; return who did, and the page that it led to."""
    surfer = Surfer(town.world, await town.world.rider(), language)
    path = urlsplit(device.device.label).path
    answer = await surfer.press(await surfer.open(path), path)
    assert answer.status_code == 303, answer.text
    return surfer, await surfer.open(answer.headers["location"])


async def shows(surfer: Surfer, page: httpx.Response, state: str) -> httpx.Response:
    """Return the page as soon as it shows a state."""
    path = urlsplit(str(page.request.url)).path
    return await until(lambda: surfer.open(path), lambda seen: f'data-state="{state}"' in seen.text)


@pytest.mark.parametrize("state", sorted(STORED))
async def test_every_state_that_is_stored_has_a_screen(state: str) -> None:
    assert (TEMPLATES / "states" / f"{state}.html").is_file()


async def test_a_bike_is_ridden_paused_and_locked_by_hand(town: Town) -> None:
    bike = await town.world.device()
    surfer, page = await started(town, bike)
    assert "It is open. Have a good ride!" in page.text
    assert "Close the lock by hand." in page.text
    assert "data-left-ms" in page.text  # how long it can be undone
    assert "data-refresh-ms" in page.text

    paused = await surfer.follow(await surfer.press(page, "/pause"))
    assert "Paused. It stays yours." in paused.text
    bike.do("lock_by_hand", {})
    again = await surfer.follow(await surfer.press(paused, "/resume"))
    await shows(surfer, again, "active")
    bike.do("lock_by_hand", {})
    receipt = await shows(surfer, page, "closed")

    assert "data-events" not in receipt.text
    assert "You pay nothing" in receipt.text


async def test_a_pod_ends_by_finish(town: Town) -> None:
    pod = await town.world.device("pod")
    surfer, page = await started(town, pod)
    assert "From the inside the door always opens" in page.text
    pod.do("enter", {})
    pod.do("leave", {})

    await surfer.press(page, "/finish")

    await shows(surfer, page, "closed")


async def test_a_jammed_lock_costs_nothing_and_says_so(town: Town) -> None:
    bike = await town.world.device()
    bike.do("break", {"jammed": True})

    surfer, page = await started(town, bike)
    shut = await shows(surfer, page, "not_unlocked")

    assert "The lock is jammed." in shut.text
    assert "You have paid nothing. €5.00 is yours again." in shut.text


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [("another_one_opened", "wrong_device"), ("did_not_open", "did_not_open"), ("broken", "broken")],
)
async def test_something_wrong_said_at_once_costs_nothing(town: Town, kind: str, outcome: str) -> None:
    bike = await town.world.device()
    surfer, page = await started(town, bike)

    answer = await surfer.press(page, "/problem", kind=kind)

    assert answer.status_code == 303, answer.text
    over = await shows(surfer, page, "closed")
    assert "€0.00" in over.text
    [session] = await town.world.rows(
        f"SELECT outcome, paid_minor FROM session WHERE device_id = '{bike.device.id}'"  # noqa: S608
    )
    assert session == (outcome, 0)


async def test_a_button_pressed_twice_is_pressed_once(town: Town) -> None:
    bike = await town.world.device()
    surfer, page = await started(town, bike)

    answers = [await surfer.press(page, "/pause") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [303, 303]


async def test_what_cannot_be_done_now_is_said_on_the_page_itself(town: Town) -> None:
    pod = await town.world.device("pod")
    surfer, page = await started(town, pod)
    path = urlsplit(str(page.request.url)).path
    [finish] = [form for form in forms(page.text) if form.action.endswith("/finish")]

    answer = await surfer.ask("POST", f"{path}/pause", finish.fields)

    assert answer.status_code == 409
    assert "This cannot be paused" in answer.text
    assert 'data-state="active"' in answer.text


async def test_another_riders_session_and_an_unknown_button_are_not_found(town: Town) -> None:
    bike = await town.world.device()
    surfer, page = await started(town, bike)
    path = urlsplit(str(page.request.url)).path
    [finish] = [form for form in forms(page.text) if form.action.endswith("/finish")]

    stranger = await Surfer(town.world, await town.world.rider()).open(path)
    guest = await Surfer(town.world).open(path)
    unknown = await surfer.ask("POST", f"{path}/explode", finish.fields)
    strange = await surfer.ask("POST", f"{path}/problem", {**finish.fields, "kind": "bored"})

    assert [answer.status_code for answer in (stranger, guest, unknown, strange)] == [404, 401, 404, 422]
    for answer in (stranger, guest, unknown):
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
