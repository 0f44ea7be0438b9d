"""What could not be sent stays in the outbox, and is a figure, until it is."""

from __future__ import annotations

from functools import partial
from typing import cast

from prometheus_client import REGISTRY

from broker.contract.codes import Action
from session_service.clock import Clock
from session_service.commands import service
from session_service.commands.dispatcher import RESEND_AFTER_MS, Dispatcher
from session_service.commands.service import Moment, Order
from session_service.database import Database
from tests.session_service.ledger.app import new_secrets
from tests.support.alerting import NOW_MS, yard


async def test_what_no_broker_took_is_counted_and_sent_once_there_is_one(database: Database) -> None:
    made, sent = await yard(database, 2), []
    moment = Moment("a-boot-of-the-bike", 1_000, NOW_MS)
    for device_id in made.ids:
        order = Order(device_id, Action.IDENTIFY, asked_by="operator:ADA", lasts_ms=60_000)
        await database.write(partial(service.issue, order=order, moment=moment))
    dispatcher = Dispatcher(database, cast("Clock", made.hands), new_secrets())

    async def unsent() -> float | None:
        await dispatcher.send_leftovers()
        return REGISTRY.get_sample_value("unlatch_commands_unsent")

    async def publish(topic: str, payload: bytes, qos: int, *, retain: bool = False) -> None:
        assert (bool(payload), qos, retain) == (True, 1, False)
        sent.append(topic)

    assert await unsent() == 0  # they are young, and on their way
    made.hands.ms += RESEND_AFTER_MS + 1
    assert (await unsent(), sent) == (2, [])
    dispatcher.publish = publish
    assert (await unsent(), len(sent)) == (2, 2)
    assert await unsent() == 0
