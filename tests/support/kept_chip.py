"""A GPIO chip with a lock on its lines, in a process of its own: it outlives the agent that is killed.

As a kernel's do, its lines belong to one program at a time, become free when that one dies, and keep their last level.
``take_lines`` stands in for ``gpiod.request_lines`` in the agent's process; all above it is the real thing.
"""

from __future__ import annotations

import os
import selectors
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
from gpiod.line import Direction, Value

from device_agent.clock import SystemClock
from simulators.chip import Body

TICK_S: Final = 0.001
PATIENCE_S: Final = 20.0
PACKET_BYTES: Final = 65_536
HALF_WAY_NS: Final = 1_500_000  # between a servo's two ends
BUSY: Final = 16  # EBUSY


class Edge(msgspec.Struct, frozen=True):
    """An output that went on or off, in milliseconds of uptime."""

    output: str
    at_ms: int
    on: bool


class Facts(msgspec.Struct, frozen=True):
    """What the chip has seen: every change of an output, and when a program let go of the lines."""

    edges: tuple[Edge, ...]
    sensors: dict[str, bool]
    let_go_ms: tuple[int, ...]


class Ask(msgspec.Struct, frozen=True, omit_defaults=True):
    """One question to the chip, a packet; it answers with one."""

    what: str
    line: int = 0
    on: bool = False
    lines: dict[str, bool] = {}  # by number; true for outputs


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """``error`` is the number of an ``OSError``."""

    on: bool = False
    error: int = 0
    facts: Facts | None = None


@dataclass
class KeptChip:
    """The chip's side. ``names`` are the lock's parts by line; a servo's signal is in the folder ``pwm``."""

    body: Body
    names: dict[int, str]
    listener: socket.socket
    pwm: Path | None = None
    _on: set[str] = field(default_factory=set)
    _edges: list[Edge] = field(default_factory=list)
    _let_go_ms: list[int] = field(default_factory=list)
    _holder: socket.socket | None = None
    _told: list[socket.socket] = field(default_factory=list)
    _selector: selectors.DefaultSelector = field(default_factory=selectors.DefaultSelector)

    def serve(self) -> None:
        """Let time pass and answer, until somebody says ``end`` or who made this process is gone."""
        clock, parent = SystemClock(), os.getppid()
        self._now_ms = clock.uptime_ms()
        self._selector.register(self.listener, selectors.EVENT_READ)
        while True:
            ready = self._selector.select(TICK_S)
            if os.getppid() != parent:
                return
            self._let_time_pass(clock.uptime_ms())
            for key, _ in ready:
                if key.fileobj is self.listener:
                    self._selector.register(self.listener.accept()[0], selectors.EVENT_READ)
                elif isinstance(key.fileobj, socket.socket) and self._hear(key.fileobj):
                    return

    def _let_time_pass(self, until_ms: int) -> None:
        self._look_at_servo()
        while self._now_ms < until_ms:
            before = self.body.sensors()
            self.body.step(frozenset(self._on))
            self._now_ms += 1
            if self.body.sensors() != before:
                for connection in self._told:
                    with suppress(OSError):  # it was killed, and is forgotten in a moment
                        connection.send(b"e", socket.MSG_DONTWAIT)

    def _look_at_servo(self) -> None:
        if self.pwm is None:
            return
        width, sending = ((self.pwm / name).read_text() for name in ("duty_cycle", "enable"))
        on = sending.strip() == "1" and width.strip().isdigit()
        self._put("to_open", on=on and int(width or 0) > HALF_WAY_NS)
        self._put("to_closed", on=on and 0 < int(width or 0) < HALF_WAY_NS)

    def _put(self, name: str, *, on: bool) -> None:
        if on != (name in self._on):
            (self._on.add if on else self._on.discard)(name)
            self._edges.append(Edge(name, self._now_ms, on))

    def _hear(self, connection: socket.socket) -> bool:
        try:
            asked = connection.recv(PACKET_BYTES)
            ask = msgspec.json.decode(asked, type=Ask) if asked else None
            if ask is not None:
                connection.send(msgspec.json.encode(self._answer(ask, connection)))
        except OSError:
            ask = None  # who asked was killed with an answer on its way
        if ask is None:
            self._forget(connection)
        return ask is not None and ask.what == "end"

    def _forget(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        if connection is self._holder:
            self._holder = None
            self._let_go_ms.append(self._now_ms)
        if connection in self._told:
            self._told.remove(connection)
        connection.close()

    def _answer(self, ask: Ask, connection: socket.socket) -> Answer:
        match ask.what:
            case "take" if self._holder is not None:
                return Answer(error=BUSY)
            case "take":
                self._holder = connection
                for line in (int(line) for line, output in ask.lines.items() if output):
                    self._put(self.names[line], on=False)
            case "set":
                self._put(self.names[ask.line], on=ask.on)
            case "get":
                return Answer(on=self.body.sensors()[self.names[ask.line]])
            case "listen":
                self._told.append(connection)
            case "facts":
                return Answer(facts=Facts(tuple(self._edges), self.body.sensors(), tuple(self._let_go_ms)))
        return Answer()


class Asking:
    """A connection to the chip."""

    def __init__(self, address: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(str(address))

    def ask(self, ask: Ask) -> Answer:
        """Return the answer.

        Raises:
            OSError: the chip refuses.
        """
        self.socket.send(msgspec.json.encode(ask))
        answer = msgspec.json.decode(self.socket.recv(PACKET_BYTES), type=Answer)
        if answer.error:
            raise OSError(answer.error, os.strerror(answer.error))
        return answer


class TakenLines:
    """What ``gpiod.request_lines`` returns: levels of lines, and a file that is readable at an edge."""

    def __init__(self, address: Path, config: dict[int, Any]) -> None:
        outputs = {str(line): settings.direction is Direction.OUTPUT for line, settings in config.items()}
        self._lines, self._edges = Asking(address), Asking(address)
        self._lines.ask(Ask("take", lines=outputs))
        self._edges.ask(Ask("listen"))
        self.fd = self._edges.socket.fileno()

    def set_value(self, line: int, value: Value) -> None:
        self._lines.ask(Ask("set", line=line, on=value is Value.ACTIVE))

    def get_value(self, line: int) -> Value:
        return Value.ACTIVE if self._lines.ask(Ask("get", line=line)).on else Value.INACTIVE

    def read_edge_events(self) -> None:
        os.read(self.fd, 64)

    def release(self) -> None:
        self._lines.socket.close()
        self._edges.socket.close()
