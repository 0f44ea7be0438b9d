"""Sends committed commands at once, and notes afterwards that they are out.

The note is not written on the way of a rider who waits. A device's answer, which mostly comes within milliseconds, says
as much; only for commands without one it is stored a little later. If the service dies in between, the sweeper sends
those commands again, and the device knows their ids.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Annotated, Final, Protocol, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import Depends, Request

from broker.contract import envelope, topics
from broker.contract.messages import Config, Message
from session_service import metrics
from session_service.clock import Clock
from session_service.commands import repository, service
from session_service.commands.model import CommandRow
from session_service.database import Database
from session_service.secrets import Secrets

logger = logging.getLogger(__name__)

NOTE_AFTER_MS: Final = 300  # what is not answered by then is noted as sent
RESEND_AFTER_MS: Final = 1_000  # longer than any note takes, so only what a crash or a lost broker left is sent again
RESEND_AT_ONCE: Final = 200  # commands a sweep sends again; the rest wait for the next


class Publish(Protocol):
    """Hands a message to the broker; raises ``ConnectionError`` if there is none."""

    async def __call__(self, topic: str, payload: bytes, qos: int, *, retain: bool = False) -> None:
        """Publish ``payload``; with ``retain`` the broker keeps it for who subscribes later."""


class Dispatcher:
    """The way out for commands. ``publish`` is set by the gateway once there is one."""

    def __init__(self, database: Database, clock: Clock, secrets: Secrets) -> None:
        self._database = database
        self._clock = clock
        self._secrets = secrets
        self._sent_at_ms: dict[str, int] = {}
        self.publish: Publish = _nobody

    async def send(self, rows: Iterable[CommandRow]) -> None:
        """Sign and publish commands whose transaction has been committed. What fails stays in the outbox."""
        for row in rows:
            try:
                await self.publish_signed(row.device_id, topics.Channel.COMMAND, service.message_of(row))
            except ConnectionError as error:
                metrics.COMMANDS_SENT.labels("failed").inc()
                logger.warning("command not sent, the sweeper will command=%s: %s", row.id, error)
            else:
                metrics.COMMANDS_SENT.labels("sent").inc()
                self._sent_at_ms[row.id] = self._clock.now_ms()

    async def publish_signed(self, device_id: str, channel: topics.Channel, message: Message) -> None:
        """Sign a message with the current command key and publish it under the channel's rule.

        Raises:
            ConnectionError: there is no broker.
        """
        payload = envelope.sign(message, self._secrets.command_key, self._secrets.command_key_id)
        await self.publish(topics.topic(device_id, channel), payload, topics.RULES[channel].publish_qos)

    async def publish_config(self, config: Config, key: Ed25519PrivateKey, key_id: str) -> None:
        """Sign a configuration with a key that its device obeys, and publish it so that the broker keeps it.

        Raises:
            ConnectionError: there is no broker.
        """
        rule, topic = topics.RULES[topics.Channel.CONFIG], topics.topic(config.device, topics.Channel.CONFIG)
        await self.publish(topic, envelope.sign(config, key, key_id), rule.publish_qos, retain=rule.retain)

    def answered(self, command_id: str) -> None:
        """Forget a command that its device has answered: the answer's transaction noted that it was out."""
        self._sent_at_ms.pop(command_id, None)

    async def note_sent(self, *, after_ms: int = NOTE_AFTER_MS) -> None:
        """Store which commands have been out for ``after_ms`` without an answer."""
        now_ms = self._clock.now_ms()
        waiting = [name for name, sent_at_ms in self._sent_at_ms.items() if now_ms - sent_at_ms >= after_ms]
        if waiting:
            await self._database.write(lambda c: repository.mark_published(c, waiting, now_ms))
            for name in waiting:
                self.answered(name)

    async def send_leftovers(self) -> None:
        """Send what a crash, or a time without a broker, left in the outbox."""
        before_ms = self._clock.now_ms() - RESEND_AFTER_MS
        rows = await self._database.read(
            lambda c: repository.outbox(c, created_before_ms=before_ms, limit=RESEND_AT_ONCE)
        )
        left = [row for row in rows if row.id not in self._sent_at_ms]
        metrics.COMMANDS_UNSENT.set(len(left))
        await self.send(left)


async def _nobody(topic: str, payload: bytes, qos: int, *, retain: bool = False) -> None:  # noqa: ARG001 - as Publish
    msg = "no broker yet"
    raise ConnectionError(msg)


async def dispatcher(request: Request) -> Dispatcher:
    """Return the running service's dispatcher."""
    return cast("Dispatcher", request.app.state.dispatcher)


InDispatcher = Annotated[Dispatcher, Depends(dispatcher)]
