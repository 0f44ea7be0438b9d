"""Samples for the tests of telemetry, and what they come to, reckoned in plain Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select
from sqlmodel import SQLModel

from session_service.database import table_of
from session_service.telemetry.columns import fold
from session_service.telemetry.packing import unpack
from session_service.telemetry.sample import HOUR_MS, MINUTE_MS, Sample
from session_service.telemetry.service import Kept, Telemetry

NOW_MS = 1_790_000_040_000 // HOUR_MS * HOUR_MS
KEPT = Kept(raw_days=2, minutes_days=3)
GAUGES = ("battery", "signal_dbm", "temperature_tenths")


def sample(at_ms: int, device: int = 1, **measures: Any) -> Sample:
    minute, offset_ms = divmod(at_ms, MINUTE_MS)
    return Sample(minute, device, offset_ms, **{"uptime_s": 60, "outbox": 0, **measures})


def telemetry(me: str = "here", kept: Kept = KEPT) -> Telemetry:
    return Telemetry(kept, me)


def finish(connection: Connection, rules: Telemetry, now_ms: int) -> int:
    """Roll up all that is due and return how many steps it took."""
    steps = 0
    while rules.roll_up(connection, now_ms):
        steps += 1
    return steps


def rows(connection: Connection, model: type[SQLModel]) -> list[dict[str, Any]]:
    table = table_of(model)
    found = connection.execute(select(table).order_by(*table.primary_key.columns)).mappings()
    return [dict(row) for row in found]


def unpacked(connection: Connection, model: type[SQLModel]) -> dict[tuple[int, int], dict[str, Any]]:
    """Return what is packed, a row each as ``summed`` has it, by the second at which it begins and the device."""
    found = {}
    for row in rows(connection, model):
        columns = unpack(row["packed"])
        for place, at_s in enumerate(columns["at_s"]):
            found[row["hour"] * 3_600 + at_s, row["device"]] = fold(columns, place, place + 1)
    return found


def summed(samples: Sequence[Sample]) -> dict[str, Any]:
    """Return what samples of one device and time come to."""
    newest = max(samples, key=lambda it: (it.minute, it.offset_ms))
    result: dict[str, Any] = {
        "beats": len(samples),
        "uptime_last_s": newest.uptime_s,
        "outbox_min": min(it.outbox for it in samples),
        "outbox_max": max(it.outbox for it in samples),
        "outbox_sum": sum(it.outbox for it in samples),
        "reconnects": sum(it.reconnects for it in samples),
        "boots": sum(it.boots for it in samples),
    }
    for name in GAUGES:
        values = [value for it in samples if (value := getattr(it, name)) is not None]
        result |= {f"{name}_n": len(values), f"{name}_sum": sum(values)}
        result |= {f"{name}_min": min(values, default=None), f"{name}_max": max(values, default=None)}
    return result
