"""A heartbeat as telemetry keeps it: whole numbers alone."""

from __future__ import annotations

from typing import Final, NamedTuple

from broker.contract.messages import Heartbeat
from session_service.clock import CROCKFORD

MINUTE_MS: Final = 60_000
HOUR_MINUTES: Final = 60
HOUR_MS: Final = HOUR_MINUTES * MINUTE_MS
INTEGER_MAX: Final = 2_147_483_647  # of the columns; an uptime of 68 years, an outbox that no disk holds
RECONNECTS_MAX: Final = 1_000  # between two heartbeats, of 30 s; a broker that claims more is not believed

_DIGITS: Final = {char: value for value, char in enumerate(CROCKFORD)}


class Sample(NamedTuple):
    """One row of ``TelemetryRaw``, in the order of its columns."""

    minute: int
    device: int
    offset_ms: int
    uptime_s: int
    outbox: int
    battery: int | None = None
    signal_dbm: int | None = None
    temperature_tenths: int | None = None
    reconnects: int = 0
    boots: int = 0


def number_of(device_id: str) -> int:
    """Return a device's id as the number that it is: ten digits of Crockford's base 32, 50 bits.

    Raises:
        KeyError: it is no device id.
    """
    number = 0
    for char in device_id:
        number = number << 5 | _DIGITS[char]
    return number


def sample_of(heartbeat: Heartbeat, at_ms: int, *, reconnects: int, new_boot: bool) -> Sample:
    """Return what is kept of a heartbeat that arrived at ``at_ms``."""
    minute, offset_ms = divmod(at_ms, MINUTE_MS)
    celsius = heartbeat.temperature_c
    return Sample(
        minute=minute,
        device=number_of(heartbeat.device),
        offset_ms=offset_ms,
        uptime_s=min(heartbeat.uptime_ms // 1_000, INTEGER_MAX),
        outbox=min(heartbeat.outbox_depth, INTEGER_MAX),
        battery=heartbeat.status.battery_percent,
        signal_dbm=heartbeat.signal_dbm,
        temperature_tenths=None if celsius is None else round(celsius * 10),
        reconnects=min(reconnects, RECONNECTS_MAX),
        boots=int(new_boot),
    )
