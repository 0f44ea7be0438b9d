"""What the rounds look for: each rule says when an alert begins and when it is over, as conditions of a device's row.

The two are apart (hysteresis), so that a value that swings about its bound raises one alert and not fifty. A condition
is neither when what it is about is not known: then everything stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, ColumnElement, FromClause, and_, cast, column, func, literal, select, table

from session_service.alerts import kinds
from session_service.alerts.model import BatteryMark
from session_service.alerts.repository import DEVICE
from session_service.database import table_of
from session_service.settings import Settings

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
BATTERY_LOW_PERCENT: Final = 20  # a bike's controller shuts its lock down below 10
BATTERY_GOOD_PERCENT: Final = 30
FORECAST_MS: Final = 36 * HOUR_MS  # the round of tomorrow evening comes too late for it
FORECAST_OVER_MS: Final = 54 * HOUR_MS
FORECAST_MIN_DROP: Final = 3  # percent: less is the gauge's own noise
FORECAST_MIN_SPAN_MS: Final = HOUR_MS
OUTBOX_MANY: Final = 200  # reports; a ride makes four
OUTBOX_FEW: Final = 50
EXPIRING_MS: Final = 14 * DAY_MS  # devices renew a month before the end: two weeks of it have been in vain

STATE: Final = table(
    "device_state",
    column("device_id"),
    column("seen_at_ms", BigInteger),
    column("battery_percent", BigInteger),
    column("outbox_depth"),
    column("lat"),
    column("lon"),
)
MARK: Final = table_of(BatteryMark)
_CERTIFICATE: Final = table("device_certificate", *map(column, ("device_id", "not_after_ms", "revoked_at_ms")))
_GOOD_UNTIL: Final = (
    select(func.max(_CERTIFICATE.c.not_after_ms))
    .where(_CERTIFICATE.c.device_id == DEVICE.c.id, _CERTIFICATE.c.revoked_at_ms.is_(None))
    .correlate(DEVICE)
    .scalar_subquery()
)


@dataclass(frozen=True, slots=True)
class Rule:
    """When an alert of a kind begins and is over; ``detail`` tells a person what was found, from ``fact``."""

    kind: str
    begins: ColumnElement[bool]
    over: ColumnElement[bool]
    fact: ColumnElement[Any]
    detail: Callable[[Any], str]


def rows_of(join_mark: bool) -> FromClause:  # noqa: FBT001 - of the two, one is asked for
    """Return the devices with what they last said of themselves."""
    joined = DEVICE.join(STATE, STATE.c.device_id == DEVICE.c.id)
    return joined.outerjoin(MARK, MARK.c.device_id == DEVICE.c.id) if join_mark else joined


def rules(settings: Settings, now_ms: int) -> tuple[Rule, ...]:
    """Return what to look for at a moment of real time."""
    return (*_of_life(settings, now_ms), *_of_battery(), *_of_service(settings, now_ms), *_of_certificates(now_ms))


def _of_life(settings: Settings, now_ms: int) -> tuple[Rule, ...]:
    seen, before_ms = STATE.c.seen_at_ms, now_ms - settings.silent_after_ms
    return (
        Rule(
            kinds.SILENT, seen < before_ms, seen >= before_ms, seen, lambda at: f"last heard of {_ago(now_ms - at)} ago"
        ),
        Rule(
            kinds.OUTBOX_GROWING,
            STATE.c.outbox_depth >= OUTBOX_MANY,
            STATE.c.outbox_depth <= OUTBOX_FEW,
            STATE.c.outbox_depth,
            lambda depth: f"{depth} reports wait on the device",
        ),
    )


def _of_battery() -> tuple[Rule, ...]:
    percent = STATE.c.battery_percent
    span_ms, drop = STATE.c.seen_at_ms - MARK.c.at_ms, MARK.c.percent - percent
    left = percent * span_ms  # times the drop: what is left lasts percent * span / drop
    bound = cast(drop, BigInteger)
    return (
        Rule(
            kinds.BATTERY_LOW,
            percent <= BATTERY_LOW_PERCENT,
            percent >= BATTERY_GOOD_PERCENT,
            percent,
            lambda found: f"{found} %",
        ),
        Rule(
            kinds.BATTERY_FORECAST,
            and_(
                drop >= FORECAST_MIN_DROP,
                span_ms >= FORECAST_MIN_SPAN_MS,
                left < bound * literal(FORECAST_MS, BigInteger),
            ),
            left >= bound * literal(FORECAST_OVER_MS, BigInteger),
            left / func.nullif(bound, 0),
            lambda left_ms: f"empty in about {_ago(int(left_ms))} if it goes on like this",
        ),
    )


def _of_service(settings: Settings, now_ms: int) -> tuple[Rule, ...]:
    service, since = DEVICE.c.service, DEVICE.c.service_since_ms

    def stays(kind: str, state: str, longest_ms: int) -> Rule:
        begins = and_(service == state, since < now_ms - longest_ms)
        return Rule(kind, begins, service != state, since, lambda at: f"{state} for {_ago(now_ms - at)}")

    return (
        stays(kinds.CLEANING_OVERDUE, "cleaning", settings.cleaning_overdue_ms),
        stays(kinds.HELD_TOO_LONG, "held", settings.held_too_long_ms),
    )


def _of_certificates(now_ms: int) -> tuple[Rule, ...]:
    ends = _GOOD_UNTIL
    return (
        Rule(
            kinds.CERTIFICATE_EXPIRED,
            ends < now_ms,
            ends >= now_ms,
            ends,
            lambda at: f"its certificate ended {_ago(now_ms - at)} ago",
        ),
        Rule(
            kinds.CERTIFICATE_EXPIRING,
            and_(ends >= now_ms, ends < now_ms + EXPIRING_MS),
            (ends < now_ms) | (ends >= now_ms + EXPIRING_MS),
            ends,
            lambda at: f"its certificate ends in {_ago(at - now_ms)}",
        ),
    )


def _ago(span_ms: int) -> str:
    """Return a span as people say it, in its greatest unit."""
    for unit, name in ((DAY_MS, "d"), (HOUR_MS, "h"), (60_000, "min")):
        if span_ms >= 2 * unit:
            return f"{span_ms // unit} {name}"
    return f"{max(0, span_ms) // 1000} s"
