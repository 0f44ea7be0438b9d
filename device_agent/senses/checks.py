"""What every sense says now, for the self-test."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from broker.contract.messages import Position
from device_agent.clock import TimeOfDay, Trust
from device_agent.senses.body import Parts
from device_agent.senses.gpsd import NO_RECEIVER
from device_agent.senses.lines import Level
from device_agent.senses.loading import World, build
from device_agent.senses.sampling import Sampled
from device_agent.senses.settings import SensesSettings

PATIENCE: Final = 5  # looks at a receiver that gpsd has only just switched on
LOOK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Said:
    """What a sense said, or why it did not."""

    name: str
    good: bool
    words: str


def ask_all(settings: SensesSettings, world: World) -> list[Said]:
    """Read all senses once; nothing is shown but the code on the display, and nothing sounds."""
    parts = build(settings, world)
    try:
        return [*_sampled(parts), *_on_lines(parts, settings), *_missing(parts)]
    finally:
        for close in parts.closers:
            close()


def in_words(now: TimeOfDay) -> str:
    """Return what is known of the time of day."""
    at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now.unix_s))
    if now.trust is Trust.UNKNOWN:
        return f"{now.trust}: it says {at}; commands are dated by the uptime, and no code is shown"
    return f"{now.trust}: {at}, off by {now.error_s:.0f} s at most"


def _sampled(parts: Parts) -> Iterator[Said]:
    for sense in (parts.battery, parts.temperature, parts.signal, parts.position):
        if sense is not None:
            yield _ask(sense)


def _ask(sense: Sampled[Any]) -> Said:
    for _ in range(PATIENCE):
        sense.sample(0)
        if sense.value is not None or sense.cause not in {None, NO_RECEIVER}:
            break
        time.sleep(LOOK_S)
    if sense.cause is not None:
        return Said(sense.name, good=False, words=sense.cause)
    return Said(sense.name, good=True, words="no fix yet" if sense.value is None else _value(sense))


def _value(sense: Sampled[Any]) -> str:
    value = sense.value
    if isinstance(value, Position):
        return f"{value.lat:.5f}, {value.lon:.5f}, within {value.accuracy_m:.0f} m"
    return f"{value:.0f} %" if sense.name == "battery" else f"{value} {UNITS[sense.name]}"


def _on_lines(parts: Parts, settings: SensesSettings) -> Iterator[Said]:
    if parts.case is not None:
        yield _level("tamper", parts.case, "the case is shut", "the case is open")
    if parts.occupied is not None:
        yield _level("occupied", parts.occupied, "somebody is there", "nobody is there")
    for shows in parts.shows:
        yield Said(shows.name, good=True, words=f"on line {settings.lines[f'{shows.name}.pin'].line}, off")
    if parts.screen is not None:
        parts.screen.sample(0)
        yield Said(
            "display", good=parts.screen.cause is None, words=parts.screen.cause or f"shows {parts.screen.text()}"
        )


def _level(name: str, level: Level, on: str, off: str) -> Said:
    seen = level.read()
    return Said(name, good=seen is not None, words={None: "it does not answer", True: on, False: off}[seen])


def _missing(parts: Parts) -> Iterator[Said]:
    for name, cause in parts.missing.items():
        yield Said(name, good=False, words=cause)


UNITS: Final = {"temperature": "degrees C", "signal": "dBm"}
