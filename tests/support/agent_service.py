"""The service's side of a real broker, for tests of a real agent: hears one device, orders, acknowledges."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty
from typing import Final

import msgspec

from broker.contract.codes import Action
from broker.contract.envelope import open_sealed, sign
from broker.contract.keys import key_id
from broker.contract.messages import Command, CommandReport, Heartbeat, Message, Presence, Report, ReportAck
from broker.contract.topics import SERVICE_USER, Channel, parse, topic
from broker.mosquitto.supervisor import Mosquitto
from tests.support.agent_world import COMMAND_KEY, REPORT_KEY
from tests.support.mosquitto import Client, Heard

DEADLINE_S: Final = 20.0  # everything here takes milliseconds; a loaded machine may stall for seconds


class HeardService:
    """One device's messages, verified and kept."""

    def __init__(self, broker: Mosquitto, device: str) -> None:
        self._client = Client(broker, SERVICE_USER)
        self._device = device
        self.reports: list[Report] = []
        self.heartbeats: list[Heartbeat] = []
        self.presences: list[Presence] = []
        self.tokens: list[bytes] = []
        for channel in (Channel.REPORT, Channel.HEARTBEAT, Channel.PRESENCE):
            self._client.subscribe(topic(device, channel))

    def close(self) -> None:
        self._client.close()

    def wait_until(self, happened: Callable[[], bool]) -> None:
        """Take messages until something has happened.

        Raises:
            TimeoutError: it does not.
        """
        ends = time.perf_counter() + DEADLINE_S
        while not happened():
            if time.perf_counter() > ends:
                raise TimeoutError
            try:
                self._take(self._client.hear())
            except Empty as error:
                raise TimeoutError from error

    def heartbeat(self) -> Heartbeat:
        """Return the newest heartbeat, waiting for the first."""
        self.wait_until(lambda: bool(self.heartbeats))
        return self.heartbeats[-1]

    def command(self, command_id: str, action: Action = Action.UNLOCK, *, ttl_ms: int = 5_000) -> Command:
        """Make a command, dated in the device's own time as of its newest heartbeat."""
        beat = self.heartbeat()
        return Command(
            version=1,
            id=command_id,
            device=self._device,
            action=action,
            boot_id=beat.boot_id,
            expires_uptime_ms=beat.uptime_ms + ttl_ms,
        )

    def send(self, message: Command | ReportAck) -> None:
        channel = Channel.COMMAND if isinstance(message, Command) else Channel.REPORT_ACK
        self._client.publish(topic(self._device, channel), signed(message))

    def outcome(self, command_id: str) -> CommandReport:
        """Return what the device says of a command, waiting for its end."""
        self.wait_until(lambda: bool(self._ends(command_id)))
        return self._ends(command_id)[0]

    def has_ended(self, command_id: str) -> bool:
        """Return whether an outcome was heard."""
        return bool(self._ends(command_id))

    def _ends(self, command_id: str) -> list[CommandReport]:
        bodies = [report.body for report in self.reports if isinstance(report.body, CommandReport)]
        return [body for body in bodies if body.command_id == command_id and body.result != "accepted"]

    def ack(self) -> None:
        """Acknowledge everything heard so far."""
        report = max(self.reports, key=lambda report: report.seq)
        self.send(ReportAck(version=1, device=self._device, journal_id=report.journal_id, acked_through=report.seq))

    def _take(self, heard: Heard) -> None:
        _, channel = parse(heard.topic)
        if channel is Channel.REPORT:
            self.tokens.append(heard.payload)
            self.reports.append(open_sealed(heard.payload, Report, lambda _: REPORT_KEY.public_key()))
        elif channel is Channel.HEARTBEAT:
            self.heartbeats.append(open_sealed(heard.payload, Heartbeat, lambda _: REPORT_KEY.public_key()))
        else:
            self.presences.append(msgspec.json.decode(heard.payload, type=Presence))


def signed(message: Message) -> bytes:
    """Sign with the service's key."""
    return sign(message, COMMAND_KEY, key_id(COMMAND_KEY.public_key()))
