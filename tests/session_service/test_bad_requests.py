"""Bad requests to every operation of the service, on both databases: a problem, and nothing changed."""

from __future__ import annotations

import httpx
import pytest

from session_service.bodies import BODY_MAX_BYTES
from tests.support.attacks import ENDLESS, Attack, Attacker, Operation, operations
from tests.support.towns import Town

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="module")]

PROBE_PATHS = ("/healthz", "/readyz", "/metrics")


def attacked() -> list[Operation]:
    return [operation for operation in operations() if operation.path not in PROBE_PATHS]


def attacker(town: Town) -> Attacker:
    label = town.bike.device.label
    return Attacker(town.ids, {"label": label, "text": label})


def headers_for(town: Town, operation: Operation) -> dict[str, str]:
    return town.world.operator if operation.path.startswith("/v1/ops/") else town.rider.headers


async def send(town: Town, operation: Operation, attack: Attack) -> httpx.Response:
    headers = {name.lower(): value for name, value in {**headers_for(town, operation), **attack.headers}.items()}
    raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    return await town.world.client.request(attack.method, attack.path, headers=raw, content=attack.content)


def wrong_with(answer: httpx.Response) -> str | None:
    """Return what is wrong with an answer to a bad request as such, whatever it says."""
    if answer.status_code >= 500:
        return f"{answer.status_code}: {answer.text[:200]}"
    if answer.status_code < 400:
        return None
    if answer.headers["content-type"] != "application/problem+json":
        return f"{answer.status_code} as {answer.headers['content-type']}"
    problem = answer.json()
    good = (
        problem["type"].startswith("urn:unlatch:problem:")
        and problem["status"] == answer.status_code
        and len(problem["title"]) > 5
        and len(problem["detail"]) > 20
    )
    return None if good else f"poor problem: {problem}"


def wrong_with_certain(answer: httpx.Response) -> str | None:
    """Return what is wrong with an answer to a request that must be refused."""
    return f"accepted with {answer.status_code}" if answer.is_success else wrong_with(answer)


@pytest.mark.parametrize("operation", attacked(), ids=lambda operation: operation.name)
async def test_bad_requests_get_a_problem_and_change_nothing(town: Town, operation: Operation) -> None:
    attacks = [attack for attack in attacker(town).attacks(operation) if attack.certain]
    before = await town.contents()

    answers = [(attack.fault, await send(town, operation, attack)) for attack in attacks]

    failures = [f"{fault}: {wrong}" for fault, answer in answers if (wrong := wrong_with_certain(answer))]
    assert not failures, "\n" + "\n".join(failures)
    assert await town.contents() == before


@pytest.mark.parametrize("operation", attacked(), ids=lambda operation: operation.name)
async def test_odd_requests_break_nothing(town: Town, operation: Operation) -> None:
    if operation.path in ENDLESS:
        pytest.skip("what is not refused does not end")
    attacks = [attack for attack in attacker(town).attacks(operation) if not attack.certain]

    answers = [(attack.fault, await send(town, operation, attack)) for attack in attacks]

    failures = [f"{fault}: {wrong}" for fault, answer in answers if (wrong := wrong_with(answer))]
    assert not failures, "\n" + "\n".join(failures)


async def test_a_body_over_the_limit_is_a_problem(town: Town) -> None:
    content = b" " * (BODY_MAX_BYTES + 1)

    answer = await town.world.client.post("/v1/riders", content=content, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["type"]) == (413, "urn:unlatch:problem:body-too-large")
    assert (await town.world.client.post("/v1/riders", content=b"{}" + content[:-3])).status_code != 413
