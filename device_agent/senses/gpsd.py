"""Position through gpsd: asked for its last fix at our rate, instead of hearing each sentence (gpsd_json(5))."""

from __future__ import annotations

import contextlib
import socket
from typing import Final

import msgspec
from msgspec import Struct

from broker.contract.messages import Position
from device_agent.senses.sampling import SenseError
from device_agent.senses.settings import Gps

WATCH: Final = b'?WATCH={"enable":true,"json":false}\n'  # switches the receiver on; reports come only when asked for
POLL: Final = b"?POLL;\n"
ANSWER_S: Final = 1.0  # it is on this machine; for so long the other senses wait
ANSWER_LIMIT: Final = 65_536  # a poll with all satellites of four systems has 8 kB
LINES_LIMIT: Final = 16  # what it says at first, and of receivers that come and go
PIECES_LIMIT: Final = 16  # of one line; each may take a second, in which no other sense is read
KEPT_READINGS: Final = 3  # of a fix that was lost: a bridge is ridden under in so long
NO_RECEIVER: Final = "gpsd has no receiver"  # or has only just switched it on
MODE_2D: Final = 2
UNKNOWN_ACCURACY_M: Final = 30.0  # a receiver between houses that does not say
ACCURACY_LIMIT_M: Final = 500.0  # says no more than that it is in this part of the city


class Tpv(Struct, frozen=True):
    """What of gpsd's time-position-velocity report is used. Metres of ``eph`` hold the place with 68 % or more."""

    mode: int = 0
    time: str = ""
    lat: float | None = None
    lon: float | None = None
    eph: float | None = None


class Poll(Struct, frozen=True):
    """gpsd's answer to a poll; other kinds of line have none of it."""

    class_: str = msgspec.field(name="class", default="")
    tpv: tuple[Tpv, ...] = ()


class Gpsd:
    """A connection to gpsd, made anew after it broke."""

    def __init__(self, settings: Gps) -> None:
        """Prepare; the first ``read`` connects."""
        self._address = (settings.host, settings.port)
        self._socket: socket.socket | None = None
        self._rest = b""
        self._last: Position | None = None
        self._last_time = ""
        self._age = 0

    def read(self) -> Position | None:
        """Return where the device is, ``None`` without a fix. A lost fix counts for ``KEPT_READINGS`` more.

        Raises:
            SenseError: gpsd is not there, does not answer, has no receiver, or is another program.
        """
        try:
            poll = self._ask()
        except OSError as error:
            self.close()
            msg = f"gpsd at {self._address[0]}:{self._address[1]}: {error.strerror or error}"
            raise SenseError(msg) from error
        except SenseError:
            self.close()
            raise
        if not poll.tpv:
            raise SenseError(NO_RECEIVER)
        return self._newest(poll)

    def close(self) -> None:
        """Let go of the connection; gpsd may then switch the receiver off."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._rest, self._last, self._age = None, b"", None, 0

    def _newest(self, poll: Poll) -> Position | None:
        """Return the most exact new fix, or the last one for a while. gpsd repeats what a dead receiver said last."""
        fixes = [tpv for tpv in poll.tpv if tpv.time != self._last_time and _position(tpv) is not None]
        if fixes:
            best = min(fixes, key=_accuracy_m)
            self._last, self._last_time, self._age = _position(best), best.time, 0
        elif self._age >= KEPT_READINGS:
            self._last = None
        else:
            self._age += 1
        return self._last

    def _ask(self) -> Poll:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, ANSWER_S)
            self._socket.sendall(WATCH)
        self._socket.sendall(POLL)
        for _ in range(LINES_LIMIT):
            line = _decoded(self._line(self._socket))
            if line.class_ == "POLL":
                return line
        msg = "gpsd does not answer a poll"
        raise SenseError(msg)

    def _line(self, connection: socket.socket) -> bytes:
        pieces = 0
        while b"\n" not in self._rest:
            pieces += 1
            if len(self._rest) > ANSWER_LIMIT or pieces > PIECES_LIMIT:
                msg = "gpsd's line has no end"
                raise SenseError(msg)
            some = connection.recv(ANSWER_LIMIT)
            if not some:
                msg = "gpsd has closed the connection"
                raise SenseError(msg)
            self._rest += some
        line, self._rest = self._rest.split(b"\n", 1)
        return line


def _decoded(line: bytes) -> Poll:
    try:
        return msgspec.json.decode(line, type=Poll)
    except msgspec.MsgspecError as error:
        msg = "what answers is not gpsd; check senses.position.port"
        raise SenseError(msg) from error


def _position(tpv: Tpv) -> Position | None:
    """Return what the contract takes, ``None`` for no fix and for one that is good for nothing."""
    if tpv.mode < MODE_2D or tpv.lat is None or tpv.lon is None or _accuracy_m(tpv) > ACCURACY_LIMIT_M:
        return None
    place = {"lat": tpv.lat, "lon": tpv.lon, "accuracy_m": _accuracy_m(tpv)}
    with contextlib.suppress(msgspec.ValidationError):
        return msgspec.convert(place, Position)
    return None


def _accuracy_m(tpv: Tpv) -> float:
    return UNKNOWN_ACCURACY_M if tpv.eph is None else tpv.eph
