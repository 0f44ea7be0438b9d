"""Riders who start and lock again as fast as they can, on bikes of their own."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from simulators.bench.wire import Json, Wire
from simulators.hands import Hands

RIDE_S = 0.01  # long enough, in the benchmark's civil time, to be no undone session
PATIENCE_S = 30.0  # for one ride: what takes longer is an error
PREFER = "Prefer: wait=10\r\n"


@dataclass(frozen=True, slots=True)
class Seat:
    """A rider with a wallet, and the bike that is always theirs."""

    token: str
    device: str
    label: str

    @property
    def bearer(self) -> str:
        """The header that says who it is."""
        return f"Authorization: Bearer {self.token}\r\n"


@dataclass
class Rides:
    """What was measured: each unlock in milliseconds, how many rides were closed, how long it took, what went wrong."""

    unlock_ms: list[float] = field(default_factory=list)
    closed: int = 0
    wall_s: float = 0.0
    errors: list[str] = field(default_factory=list)

    @property
    def per_s(self) -> float:
        """Closed rides a second."""
        return self.closed / self.wall_s if self.wall_s else 0.0


async def ride_all(url: str, hands: Hands, seats: Sequence[Seat], *, for_s: float) -> Rides:
    """Let all riders ride for ``for_s`` seconds side by side, each one ride after the other."""
    rides = Rides()
    began = time.perf_counter()
    await asyncio.gather(*(_ride_on(url, hands, seat, began + for_s, rides) for seat in seats))
    rides.wall_s = time.perf_counter() - began
    return rides


async def _ride_on(url: str, hands: Hands, seat: Seat, until: float, rides: Rides) -> None:
    async with Wire(url) as wire:
        while time.perf_counter() < until:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await _ride(wire, hands, seat, rides)
            except (OSError, EOFError, RuntimeError) as error:
                rides.errors.append(repr(error))
                return


async def start_in_a_row(url: str, hands: Hands, seats: Sequence[Seat]) -> list[float]:
    """Start every seat's bike, one after the other without a pause; return the milliseconds of each, then end all."""
    times, started = [], []
    async with Wire(url) as wire:
        for seat in seats:
            began = time.perf_counter()
            started.append(await _start(wire, seat))
            times.append((time.perf_counter() - began) * 1000)
        for seat, session in zip(seats, started, strict=True):
            await _end(wire, hands, seat, session)
    return times


async def _ride(wire: Wire, hands: Hands, seat: Seat, rides: Rides) -> None:
    began = time.perf_counter()
    session = await _start(wire, seat)
    rides.unlock_ms.append((time.perf_counter() - began) * 1000)
    await asyncio.sleep(RIDE_S)
    await _end(wire, hands, seat, session)
    rides.closed += 1


async def _start(wire: Wire, seat: Seat) -> Json:
    headers = f"{seat.bearer}{PREFER}Idempotency-Key: {secrets.token_urlsafe(18)}\r\n"
    status, session = await wire.ask("POST", "/v1/sessions", {"label": seat.label}, headers)
    if status != 201 or session["state"] != "active":
        msg = f"start was answered {status}: {session}"
        raise RuntimeError(msg)
    return session


async def _end(wire: Wire, hands: Hands, seat: Seat, session: Json) -> None:
    await hands.do(seat.device, "lock_by_hand")
    resume = f"{seat.bearer}Last-Event-ID: {session['version']}\r\n"
    stream = await wire.follow(f"/v1/sessions/{session['id']}/events", resume)
    if b'"state":"closed"' not in stream:
        msg = f"the ride ended otherwise: {stream!r}"
        raise RuntimeError(msg)
