"""What goes wrong between a rider and a lock, and that nothing is lost, opened late or charged wrongly for it."""

from __future__ import annotations

import asyncio
import secrets

import httpx
import pytest

from broker.contract import envelope
from broker.contract.topics import Channel, topic
from session_service.commands import repository as commands
from session_service.commands.dispatcher import Dispatcher
from session_service.commands.service import message_of
from simulators.bodies import SimulatedDevice
from tests.support.world import Rider, World, until

pytestmark = pytest.mark.server

PAIRS = 200
REPEATS = 50


async def _wallet(rider: Rider) -> tuple[int, int]:
    wallet = await rider.get("/v1/wallet")
    return wallet["balance_minor"], wallet["held_minor"]


async def _republish(town: World, command_id: str) -> None:
    """Let the broker deliver a command once more, as it is allowed to."""
    row = await town.context.database.read(lambda c: commands.by_id(c, command_id))
    assert row is not None
    dispatcher = Dispatcher(town.context.database, town.context.clock, town.context.secrets)
    dispatcher.publish = town.publish
    await dispatcher.send([row])


async def _movements(device: SimulatedDevice) -> int:
    return len(device.lock.history)


async def test_a_command_that_is_repeated_moves_the_lock_once(town: World) -> None:
    bike, rider = await town.device(), await town.rider()
    session = (await rider.start(bike.device.label)).json()
    command_id = await town.scalar("SELECT id FROM command")

    for _ in range(5):
        await _republish(town, command_id)
    reports = await town.scalar("SELECT count(*) FROM report")
    await asyncio.sleep(0.3)

    assert await _movements(bike) == 1
    assert await town.scalar("SELECT count(*) FROM report") == reports
    assert (await rider.session(session["id"]))["state"] == "active"


async def test_a_lost_answer_is_given_again_and_the_lock_moves_once(town: World) -> None:
    bike, rider = await town.device(), await town.rider()
    publish = bike.link.publish_report
    lost: list[bytes] = []
    bike.link.publish_report = lambda token: lost.append(token) if len(lost) < 2 else publish(token)  # type: ignore[method-assign]

    started = await rider.start(bike.device.label)
    await rider.until(started.json()["id"], "active")

    assert len(lost) == 2
    assert await _movements(bike) == 1
    assert (await _wallet(rider))[1] > 0


async def test_a_bike_that_went_offline_unnoticed_is_not_paid_and_does_not_open_later(town: World) -> None:
    bike, rider = await town.device(), await town.rider(funds_minor=5_000)
    bike.link.go_offline()
    await until(lambda: _connected(bike), lambda there: not there)

    started = await rider.start(bike.device.label, wait_s=5)

    assert started.status_code == 201
    assert started.json()["state"] == "unknown"
    ended = await rider.until(started.json()["id"], "not_unlocked")
    assert ended["outcome"] == "unconfirmed"
    assert await _wallet(rider) == (5_000, 0)
    bike.link.go_online()
    await town.until_heard_of(bike)
    assert bike.lock.history == []


async def _connected(bike: SimulatedDevice) -> bool:
    return bike.link.connected


async def test_a_bike_that_restarted_unnoticed_is_asked_again_and_opens_once(town: World) -> None:
    bike, rider = await town.device(), await town.rider()
    heartbeat, held = bike.link.publish_heartbeat, asyncio.Event()
    report = bike.link.publish_report
    bike.link.publish_heartbeat = lambda token: heartbeat(token) if held.is_set() else None  # type: ignore[method-assign]
    bike.link.publish_report = lambda token: report(token) if held.is_set() else None  # type: ignore[method-assign]
    bike.reboot()
    await until(lambda: _connected(bike), lambda there: not there)
    await until(lambda: _connected(bike), lambda there: there)

    starting = asyncio.create_task(rider.start(bike.device.label))
    await until(lambda: town.scalar("SELECT count(*) FROM command"), lambda count: count == 1)
    held.set()
    bike.link.restart()
    started = await starting

    assert started.json()["state"] == "active"
    assert await _movements(bike) == 1
    [(first,), (second,)] = await town.rows("SELECT state FROM command ORDER BY id")
    assert first in {"created", "published", "refused"}  # lost on the way, not yet noted as sent, or refused as stale
    assert second == "done"


async def test_an_old_command_after_a_restart_moves_nothing(town: World) -> None:
    bike, rider = await town.device(), await town.rider()
    bike.link.go_offline()
    await until(lambda: _connected(bike), lambda there: not there)
    session = (await rider.start(bike.device.label, wait_s=0)).json()
    command_id = await town.scalar("SELECT id FROM command")
    bike.reboot()
    bike.link.go_online()
    await town.until_heard_of(bike)
    await rider.until(session["id"], "not_unlocked", "active")
    moved = await _movements(bike)

    await _republish(town, command_id)
    await asyncio.sleep(0.3)

    assert await _movements(bike) == moved


async def test_a_jammed_lock_costs_nothing_and_is_shown_to_a_technician(town: World) -> None:
    bike, rider = await town.device(), await town.rider(funds_minor=5_000)
    bike.do("break", {"jammed": True})

    started = await rider.start(bike.device.label)

    ended = await rider.until(started.json()["id"], "not_unlocked")
    assert ended["reason"] == "jammed"
    assert await _wallet(rider) == (5_000, 0)
    assert await town.rows("SELECT kind FROM device_alert WHERE cleared_at_ms IS NULL") == [("jammed",)]


async def test_of_two_riders_who_start_one_bike_at_once_one_gets_it_every_time(town: World) -> None:
    bike = await town.device()
    riders = [await town.rider(funds_minor=20_000), await town.rider(funds_minor=20_000)]
    for _ in range(PAIRS):
        answers = await asyncio.gather(*(rider.start(bike.device.label) for rider in riders))

        assert sorted(answer.status_code for answer in answers) == [201, 409]
        assert await town.scalar("SELECT count(*) FROM session WHERE state = 'active'") == 1
        open_holds = "SELECT count(*) FROM hold WHERE id NOT IN (SELECT hold_id FROM hold_end)"
        assert await town.scalar(open_holds) == 1
        [winner] = [n for n, answer in enumerate(answers) if answer.status_code == 201]
        bike.do("lock_by_hand", {})
        await riders[winner].until(answers[winner].json()["id"], "closed")
    assert await town.scalar("SELECT count(*) FROM session") == PAIRS


async def test_the_same_start_fifty_times_at_once_is_one_session_with_one_answer(town: World) -> None:
    bike, rider, key = await town.device(), await town.rider(), secrets.token_urlsafe(18)

    answers = await asyncio.gather(*(rider.start(bike.device.label, key=key) for _ in range(REPEATS)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert await town.scalar("SELECT count(*) FROM session") == 1
    bike.do("lock_by_hand", {})
    await rider.until(answers[0].json()["id"], "closed")
    later: httpx.Response = await rider.start(bike.device.label, key=key)
    assert later.text == answers[0].text


async def test_a_start_that_is_forged_by_the_broker_moves_nothing(town: World) -> None:
    bike, rider = await town.device(), await town.rider()
    session = (await rider.start(bike.device.label)).json()
    row = await town.context.database.read(
        lambda c: commands.by_id(c, c.exec_driver_sql("SELECT id FROM command").scalar_one())
    )
    assert row is not None
    bike.do("lock_by_hand", {})
    await rider.until(session["id"], "closed")
    own_key = bike._signer._key  # the device's, which is not one for commands
    for changed in ({"id": "01J0000000000000000000FAKE"}, {"expires_uptime_ms": 10**12}):
        forged = message_of(row.model_copy(update=changed))
        payload = envelope.sign(forged, own_key, "service")
        await town.publish(topic(bike.device.id, Channel.COMMAND), payload, 1)
    await asyncio.sleep(0.3)

    assert [movement.what for movement in bike.lock.history] == ["unlock", "lock"]


async def test_reports_lost_doubled_and_out_of_order_have_each_one_effect(town: World) -> None:
    bike, rider = await town.device(), await town.rider(funds_minor=20_000)
    publish, held = bike.link.publish_report, []
    count = 0

    def unreliable(token: bytes) -> None:
        nonlocal count
        count += 1
        if count % 3 == 1:
            held.append(token)  # comes after the next one, or never
        else:
            publish(token)
            publish(token)
            while held:
                publish(held.pop())

    bike.link.publish_report = unreliable  # type: ignore[method-assign]
    for _ in range(10):
        started = await rider.start(bike.device.label)
        assert started.json()["state"] == "active"
        bike.do("lock_by_hand", {})
        await rider.until(started.json()["id"], "closed")

    assert await town.scalar("SELECT count(*) FROM session WHERE state = 'closed'") == 10
    seqs = [seq for (seq,) in await town.rows("SELECT seq FROM report ORDER BY seq")]
    assert seqs == list(range(1, len(seqs) + 1))


async def test_a_bike_that_is_locked_after_its_case_went_to_review_is_paid_and_free_again(town: World) -> None:
    bike, rider = await town.device(), await town.rider()
    session = (await rider.start(bike.device.label)).json()
    bike.do("break", {"jammed": True})
    finished = await rider.finish(session["id"], wait_s=0)
    assert finished.json()["state"] == "locking"
    review = await rider.until(session["id"], "review")
    assert review["reason"] in {"lock_unconfirmed", "jammed"}
    bike.do("break", {"jammed": False})

    bike.do("lock_by_hand", {})
    ended = await rider.until(session["id"], "closed")

    assert ended["outcome"] == "undone"  # the test takes less than a minute and goes nowhere
    assert await town.rows("SELECT service FROM device") == [("ready",)]
    assert (await _wallet(rider))[1] == 0
