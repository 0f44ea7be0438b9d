"""The service's end of MQTT. It verifies what devices say, hands it on in order, and publishes what they are told.

The broker's acknowledgements mean nothing here: a report counts as received when its transaction has committed, and
only then is the device told so.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import aiomqtt
import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from broker.contract import keys, topics
from broker.contract.envelope import RejectedError, Rejection, open_sealed
from broker.contract.jws import PublicKey
from broker.contract.messages import VERSION, CommandReport, Heartbeat, Report, ReportAck
from session_service import metrics
from session_service.clock import Clock
from session_service.commands.dispatcher import Dispatcher
from session_service.database import Database, may_pass
from session_service.devices import service as devices
from session_service.devices.heartbeats import Beat
from session_service.errors import SetupError
from session_service.fleet import repository
from session_service.fleet.clones import note_clones
from session_service.fleet.complaints import Complaints
from session_service.fleet.delivery import handing_to
from session_service.fleet.identities import Identities
from session_service.fleet.overtaking import Overtaking
from session_service.fleet.reports import Receipt, Verdict, receive
from session_service.fleet.returns import Returns
from session_service.fleet.tls import broker_context
from session_service.sessions.live import Live
from session_service.sessions.service import Moved
from session_service.settings import Settings
from session_service.telemetry.gatherer import Gatherer

logger = logging.getLogger(__name__)

SHARDS: Final = 32  # devices handled side by side; as many transactions can share a commit
SHARD_BACKLOG: Final = 2_000  # messages; what is more is dropped, and devices say it again
HEARTBEATS_EVERY_S: Final = 0.2  # gathered so long: a heartbeat is due every 30 s, nobody misses it for 0.2 s
ACK_AFTER_S: Final = 0.05  # gathered so long, out of the way of riders; a device asks again after a second
BACKOFF_MAX_S: Final = 5.0  # between tries to reach the broker; riders wait meanwhile
KEYS_KEPT: Final = 50_000  # public keys in memory, 1 kB each
INFLIGHT: Final = 1_000  # commands published and not acknowledged by the broker
HEARD: Final = (topics.Channel.REPORT, topics.Channel.HEARTBEAT)
NO_DELAY: Final = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)  # with Nagle's algorithm each command waits 40 ms


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A message as it came, from whom its topic says that it is. Nothing of it is to be believed yet."""

    device: str
    channel: topics.Channel
    payload: bytes


class Gateway:
    """Runs until it is cancelled; reconnects by itself."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        database: Database,
        dispatcher: Dispatcher,
        live: Live,
        telemetry: Gatherer | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._database = database
        self._dispatcher = dispatcher
        self._live = live
        self._telemetry = Gatherer() if telemetry is None else telemetry
        self._shards: list[asyncio.Queue[_Arrived]] = [asyncio.Queue(SHARD_BACKLOG) for _ in range(SHARDS)]
        self._heartbeats: dict[str, Beat] = {}
        self._boots: dict[str, str] = {}
        self._acks: dict[str, ReportAck] = {}
        self._has_acks = asyncio.Event()
        self._keys: dict[str, PublicKey] = {}
        self._overtaking = Overtaking(self._queue_report)
        self._complaints = Complaints(clock)
        self._returns = Returns(database, clock, dispatcher)
        self._identities = Identities(settings.secrets_dir, clock, database, self.forget)
        self.connected = asyncio.Event()

    async def run(self) -> None:
        """Serve until cancelled."""
        await self._remember_boots()
        async with asyncio.TaskGroup() as group:
            for shard in self._shards:
                group.create_task(self._work_off(shard))
            group.create_task(self._store_heartbeats())
            group.create_task(self._send_acks())
            group.create_task(self._stay_connected())
            group.create_task(self._identities.run())
            group.create_task(self._returns.run())

    async def _stay_connected(self) -> None:
        delay_s = 0.1
        while True:
            try:
                async with self._client() as client:
                    await self._subscribe(client)
                    _heed_cancellation()
                    self._up(client)
                    delay_s = 0.1
                    async for _ in client.messages:
                        pass  # there are none here; it raises when the connection is lost
            except (aiomqtt.MqttError, SetupError) as error:
                _heed_cancellation()  # closing may have failed, and its error taken the cancellation's place
                logger.warning("broker lost, trying again in %.1f s: %s", delay_s, error)
            finally:
                self._down()
            await asyncio.sleep(delay_s * random.uniform(0.5, 1))  # noqa: S311 - jitter, not a secret
            delay_s = min(BACKOFF_MAX_S, 2 * delay_s)

    def _client(self) -> aiomqtt.Client:
        client = aiomqtt.Client(
            self._settings.broker_host,
            self._settings.broker_port,
            # No user name: the broker takes that from the certificate.
            tls_context=broker_context(self._settings),
            identifier=topics.service_user(self._settings.instance),
            protocol=aiomqtt.ProtocolVersion.V311,
            clean_session=True,
            keepalive=10,
            timeout=5,
            queue_type=handing_to(self._hear),
            max_inflight_messages=INFLIGHT,
            max_concurrent_outgoing_calls=INFLIGHT,
            socket_options=NO_DELAY,
        )
        client.pending_calls_threshold = INFLIGHT  # it warns above that, and its own threshold is ten
        client._client.on_message = self._outliving(client._client.on_message)  # noqa: SLF001 - there is no other way to it
        return client

    def _outliving(self, take: Callable[..., None] | None) -> Callable[..., None]:
        """Return aiomqtt's callback such that it outlives topics that are none (a wildcard, no UTF-8).

        Only a hostile broker sends such. aiomqtt raises before ``_hear`` is asked, and paho would read the packet again
        and again.
        """

        def on_message(*arguments: object) -> None:
            try:
                if take is not None:
                    take(*arguments)
            except ValueError:
                self._reject("unknown", "unknown", Rejection.MALFORMED, "topic")

        return on_message

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        """Hear all devices; of several instances each hears every heartbeat, and its share of the reports."""
        for channel in (*HEARD, topics.Channel.PRESENCE):
            is_shared = self._settings.instance and channel is topics.Channel.REPORT
            name = topics.shared(channel) if is_shared else topics.everyones(channel)
            await client.subscribe(name, qos=topics.RULES[channel].subscribe_qos)

    def _up(self, client: aiomqtt.Client) -> None:
        async def publish(topic: str, payload: bytes, qos: int, *, retain: bool = False) -> None:
            try:
                await client.publish(topic, payload, qos=qos, retain=retain)
            except aiomqtt.MqttError as error:
                raise ConnectionError(str(error)) from error
            _heed_cancellation()

        self._dispatcher.publish = publish
        self.connected.set()
        metrics.CONNECTED.set(1)
        logger.info("connected to the broker at %s:%d", self._settings.broker_host, self._settings.broker_port)

    def _down(self) -> None:
        self.connected.clear()
        metrics.CONNECTED.set(0)

    # -- What devices say

    def _hear(self, message: aiomqtt.Message) -> None:
        """Queue a message with its device's others. Called by the MQTT client as it comes; never raises."""
        device = channel = "unknown"
        try:
            device, channel = topics.parse(str(message.topic))
            if channel is topics.Channel.PRESENCE:
                self._hear_presence(device, message)
                return
            if channel not in HEARD:  # a broker may send what nobody has subscribed to
                raise RejectedError(Rejection.MALFORMED, "channel")  # noqa: TRY301
            if message.retain:  # said at some time, to nobody in particular
                raise RejectedError(Rejection.RETAINED)  # noqa: TRY301 - counted with all the others
            if not isinstance(message.payload, bytes) or not message.payload:
                raise RejectedError(Rejection.MALFORMED, "empty")  # noqa: TRY301
            self._queue(_Arrived(device, channel, message.payload))
        except RejectedError as rejected:
            self._reject(device, channel, rejected.reason, str(rejected))
        except ValueError:
            self._reject(device, channel, Rejection.MALFORMED, "topic")

    def _hear_presence(self, device: str, message: aiomqtt.Message) -> None:
        """Pass on that a device may be back. What the broker has kept is of some earlier time, and says nothing."""
        if message.retain or not isinstance(message.payload, bytes) or not message.payload:
            return
        try:
            if self._returns.heard(device, message.payload):
                self._telemetry.born(device)
        except (ValueError, msgspec.MsgspecError) as error:
            raise RejectedError(Rejection.MALFORMED, str(error)) from error

    async def _verified(self, arrived: _Arrived) -> Report | Heartbeat:
        key = await self._key_of(arrived.device)
        message: Report | Heartbeat
        if arrived.channel is topics.Channel.REPORT:
            message = open_sealed(arrived.payload, Report, lambda _: key)
        else:
            message = open_sealed(arrived.payload, Heartbeat, lambda _: key)
        if message.device != arrived.device:
            raise RejectedError(Rejection.WRONG_DEVICE)
        return message

    async def _key_of(self, device: str) -> PublicKey | None:
        if device in self._keys:
            return self._keys[device]
        pem = await self._database.read(lambda c: repository.report_key_pem(c, device))
        if pem is None:
            return None
        if len(self._keys) >= KEYS_KEPT:
            self._keys.clear()
        self._keys[device] = keys.load_public(pem)
        return self._keys[device]

    async def revoked(self, device: str) -> None:
        """Ignore a device from now on, and tell the broker; its revocation has been committed."""
        self.forget(device)
        try:
            await self._identities.publish()
        except (SQLAlchemyError, OSError):
            logger.exception("the broker has not been told yet device=%s", device)  # it is tried again in two seconds

    def forget(self, device: str) -> None:
        """Look a device's key up anew when it speaks next; what it has said and is not stored is dropped."""
        self._keys.pop(device, None)
        self._heartbeats.pop(device, None)
        self._boots.pop(device, None)

    def _reject(self, device: str, channel: str, reason: str, detail: str) -> None:
        metrics.REJECTED.labels(channel, reason).inc()
        self._complaints.warn(device, "message dropped device=%s channel=%s reason=%s: %s", channel, reason, detail)

    async def _work_off(self, shard: asyncio.Queue[_Arrived]) -> None:
        while True:
            arrived = await shard.get()
            try:
                await self._take(arrived)
            except RejectedError as rejected:
                self._reject(arrived.device, arrived.channel, rejected.reason, str(rejected))
            except (SQLAlchemyError, OSError) as error:
                # It was not stored and is not acknowledged, so the device says it again.
                self._reject(arrived.device, arrived.channel, "database", str(error))
            except Exception:
                # A mistake of ours about one message must not make us deaf to all devices.
                logger.exception("message not understood device=%s", arrived.device)

    async def _take(self, arrived: _Arrived) -> None:
        """Let a message take effect if its device has signed it.

        Raises:
            RejectedError: it is no good.
        """
        message = await self._verified(arrived)
        if isinstance(message, Heartbeat):
            await self._take_heartbeat(message)
        else:
            await self.take_report(message, arrived.payload.decode())
        metrics.MESSAGES.labels(arrived.channel).inc()

    async def _stored(self, report: Report, token: str) -> Receipt:
        try:
            return await self._database.write(lambda c: receive(c, self._clock, report, token))
        except Exception as error:
            if may_pass(error):
                raise
            # A mistake of ours. The device's journal must not wait for its repair, and its word must not be lost.
            logger.exception("report without effect device=%s seq=%d", report.device, report.seq)
            return await self._database.write(lambda c: receive(c, self._clock, report, token, effect=False))

    async def take_report(self, report: Report, token: str) -> Receipt:
        """Store a verified report, let it take effect, and pass on what follows; return what became of it."""
        receipt = await self._stored(report, token)
        if self._settings.instance and self._overtaking.holds(report, token, receipt.verdict):
            return receipt
        metrics.REPORTS.labels(receipt.verdict).inc()
        if isinstance(report.body, CommandReport):
            self._dispatcher.answered(report.body.command_id)
        await self.announce(receipt.moved)
        if receipt.verdict is Verdict.FOREIGN_JOURNAL:
            self._complaints.warn(report.device, "report dropped device=%s: its journal is another device's")
        elif receipt.verdict is not Verdict.UNREGISTERED:
            self._acknowledge(report.device, receipt)
        return receipt

    def _queue(self, arrived: _Arrived) -> None:
        """Put a message behind its device's others; one that does not fit is dropped, and said again by the device."""
        try:
            self._shards[hash(arrived.device) % SHARDS].put_nowait(arrived)
        except asyncio.QueueFull:
            self._reject(arrived.device, arrived.channel, "overload", "the backlog is full")

    def _queue_report(self, device: str, token: bytes) -> None:
        self._queue(_Arrived(device, topics.Channel.REPORT, token))

    async def announce(self, moved: Moved) -> None:
        """Tell listeners what a committed unit of work moved, and send its commands."""
        self._live.tell(moved.changes)
        await self._dispatcher.send(moved.commands)

    def _acknowledge(self, device: str, receipt: Receipt) -> None:
        """Note what a device is to be told; its rider's answer goes out first."""
        self._acks[device] = ReportAck(
            version=VERSION, device=device, journal_id=receipt.journal_id, acked_through=receipt.acked_through
        )
        self._has_acks.set()

    async def _send_acks(self) -> None:
        while True:
            await self._has_acks.wait()
            await asyncio.sleep(ACK_AFTER_S)
            self._has_acks.clear()
            acks, self._acks = self._acks, {}
            for ack in acks.values():
                try:
                    await self._dispatcher.publish_signed(ack.device, topics.Channel.REPORT_ACK, ack)
                except ConnectionError as error:  # the device says it again, and is told then
                    logger.warning("acknowledgement not sent device=%s: %s", ack.device, error)

    # -- Heartbeats

    async def _take_heartbeat(self, heartbeat: Heartbeat) -> None:
        """Gather heartbeats; one of a new boot is stored at once, because reports of that boot are dated by it."""
        entry: Beat = (heartbeat, self._clock.now_ms())
        self._telemetry.heard(*entry)
        if self._boots.get(heartbeat.device) == heartbeat.boot_id:
            self._heartbeats[heartbeat.device] = entry
            return
        await self._store([entry])
        if len(self._boots) >= KEYS_KEPT:
            self._boots.clear()
        self._boots[heartbeat.device] = heartbeat.boot_id

    async def _remember_boots(self) -> None:
        """Know which boots are stored, or after a start each device's next heartbeat would be a transaction."""
        try:
            self._boots = await self._database.read(lambda c: repository.boots(c, KEYS_KEPT))
        except (SQLAlchemyError, OSError) as error:
            logger.warning("boots not read, each is stored anew: %s", error)

    async def _store_heartbeats(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEATS_EVERY_S)
            metrics.BACKLOG.set(sum(shard.qsize() for shard in self._shards))
            gathered, self._heartbeats = self._heartbeats, {}
            if gathered:
                try:
                    await self._store(list(gathered.values()))
                except Exception:  # also a mistake of ours: it must not end all later rounds
                    logger.exception("heartbeats not stored count=%d", len(gathered))

    async def _store(self, heartbeats: Sequence[Beat]) -> None:
        def unit(connection: Connection) -> list[str]:
            if self._settings.instance and len(heartbeats) > 1:
                repository.queue_up(connection)
            found = note_clones(connection, heartbeats)
            devices.note_heartbeats(connection, heartbeats)
            return found

        for device in await self._database.write(unit):
            logger.warning("two machines have the keys of one device device=%s", device)


def _heed_cancellation() -> None:
    """Raise the cancellation that this task was asked for and has not seen.

    aiomqtt waits with ``asyncio.wait_for``, which before Python 3.12 drops one that comes at the moment of success.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
