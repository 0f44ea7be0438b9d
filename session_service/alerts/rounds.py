"""The rounds: looks, every some seconds, for what devices do not say by themselves, and ends what is over.

Looking is done by reading alone, away from the one writer; a round writes only what has changed, and at most
``AT_ONCE`` rows a rule and in one transaction as few as ``IN_ONE_UNIT``, so that a city that goes dark does not stop
Starts. ``device_state.seen_at_ms`` has no index on purpose: each heartbeat would have to move its row in it, 333 times
a second for 10,000 devices, to save a scan of some milliseconds every ten seconds (docs/decisions/0022).
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any, Final, NamedTuple, TypeVar

from sqlalchemy import Connection, and_, exists, func, null, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from session_service.alerts import forgetting, repository, service, sites
from session_service.alerts.kinds import SILENT, SITE_DOWN, Severity, severity_of
from session_service.alerts.model import DeviceAlert
from session_service.alerts.repository import ALERT, DEVICE
from session_service.alerts.rules import HOUR_MS, MARK, STATE, Rule, rows_of, rules
from session_service.clock import Clock, new_id
from session_service.database import Database, every
from session_service.metrics import ALERTS_ACTIVE, ALERTS_RAISED
from session_service.settings import Settings

logger = logging.getLogger(__name__)

AT_ONCE: Final = 2_000  # alerts of a rule that begin, or end, in one round; the rest wait for the next
IN_ONE_UNIT: Final = 20  # 20 ms of the writer
MARK_EVERY_MS: Final = 6 * HOUR_MS  # a forecast looks back 6 to 12 hours: through rides, not through days
RULE: Final = "rule:alerts"
T = TypeVar("T")
_INSERTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class Found(NamedTuple):
    """What is to be raised of a rule, by device, and what is over."""

    rule: Rule
    begins: list[tuple[str, Any]]
    over: list[DeviceAlert]


class Silence(NamedTuple):
    """An active alert of a silent device, since when it is silent, and the site's alert that it points to."""

    alert_id: str
    since_ms: int
    group_id: str | None


class Site(NamedTuple):
    """A site's devices that could be silent, those that are, and its active alert."""

    name: str
    devices: int
    silences: list[Silence]
    alert: DeviceAlert | None

    def has_recovered(self) -> bool:
        """Return whether the site's alert is over."""
        return sites.has_recovered(self.devices, len(self.silences))

    def has_work(self) -> bool:
        """Return whether anything about this site is to be written."""
        if self.alert is None:
            return sites.has_failed(self.devices, [silence.since_ms for silence in self.silences])
        return self.has_recovered() or any(silence.group_id is None for silence in self.silences)


class Rounds:
    """Runs until it is cancelled. What fails in one round is tried again in the next."""

    def __init__(self, database: Database, clock: Clock, settings: Settings, *forget: forgetting.Finds) -> None:
        """``forget`` finds what nouns above this one want deleted in the same rounds."""
        self._database = database
        self._clock = clock
        self._settings = settings
        self._forgotten = (forgetting.old, *forget)

    async def run(self) -> None:
        """Make rounds until cancelled."""
        while True:
            await asyncio.sleep(self._settings.alerts_every_ms / 1000)
            try:
                await self.round()
            except Exception:  # also a mistake of ours: it must not end all later rounds
                logger.exception("alerts not looked at, trying again in %d ms", self._settings.alerts_every_ms)

    async def round(self) -> None:
        """Look once."""
        now_ms = self._clock.now_ms()
        await self._mark_batteries(now_ms)
        for rule in rules(self._settings, now_ms):
            await self._settle(await self._database.read(partial(look, rule)), now_ms)
        await self._look_at_sites(now_ms)
        await self._forget(now_ms)
        counts = await self._database.read(repository.counts)
        for severity in Severity:
            ALERTS_ACTIVE.labels(severity).set(counts.get(severity, 0))

    async def _settle(self, found: Found, now_ms: int) -> None:
        for begun in _few(found.begins):
            await self._database.write(partial(_raise, found.rule, begun, now_ms))
        for over in _few(found.over):
            await self._database.write(partial(_end, over, now_ms))

    async def _look_at_sites(self, now_ms: int) -> None:
        for site in await self._database.read(look_at_sites):
            await self._database.write(partial(settle_site, site, now_ms))

    async def _forget(self, now_ms: int) -> None:
        for what in chain.from_iterable(find(self._settings, now_ms) for find in self._forgotten):
            for ids in _few(await self._database.read(what.ids)):
                await self._database.write(partial(what.delete, ids))

    async def _mark_batteries(self, now_ms: int) -> None:
        for rows in _few(await self._database.read(partial(to_mark, now_ms))):
            await self._database.write(partial(_mark, rows))


def _few(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(rows), IN_ONE_UNIT):
        yield rows[start : start + IN_ONE_UNIT]


# -- Devices


def look(rule: Rule, connection: Connection) -> Found:
    """Return what a rule finds: devices for which it begins and none is active, and active alerts that are over."""
    active = exists().where(
        ALERT.c.device_id == DEVICE.c.id, ALERT.c.kind == rule.kind, ALERT.c.cleared_at_ms.is_(None)
    )
    begins = (
        select(DEVICE.c.id, rule.fact)
        .select_from(rows_of(join_mark=True))
        .where(rule.begins, DEVICE.c.revoked_at_ms.is_(None), ~active)
        .order_by(DEVICE.c.id)
        .limit(AT_ONCE)
    )
    over = (
        select(ALERT)
        .select_from(rows_of(join_mark=True).join(ALERT, ALERT.c.device_id == DEVICE.c.id))
        .where(
            ALERT.c.kind == rule.kind,
            ALERT.c.cleared_at_ms.is_(None),
            or_(rule.over, DEVICE.c.revoked_at_ms.is_not(None)),
        )
        .order_by(ALERT.c.device_id)
        .limit(AT_ONCE)
    )
    return Found(rule, [(row[0], row[1]) for row in connection.execute(begins)], every(connection, DeviceAlert, over))


def _raise(rule: Rule, begun: Sequence[tuple[str, Any]], now_ms: int, connection: Connection) -> None:
    for device_id, fact in begun:
        service.raise_quietly(connection, device_id, rule.kind, rule.detail(fact), now_ms)


def _end(over: Sequence[DeviceAlert], now_ms: int, connection: Connection) -> None:
    for alert in over:
        repository.clear_it(connection, alert, RULE, now_ms)


# -- Batteries


def to_mark(now_ms: int, connection: Connection) -> list[dict[str, object]]:
    """Return the marks to write: of devices that have none, have been charged, or whose next mark is old enough."""
    percent, at = STATE.c.battery_percent, STATE.c.seen_at_ms
    charged = percent > MARK.c.next_percent
    due = or_(MARK.c.device_id.is_(None), charged, at - MARK.c.next_at_ms >= MARK_EVERY_MS)
    statement = (
        select(DEVICE.c.id, percent, at, MARK.c.next_percent, MARK.c.next_at_ms, charged)
        .select_from(rows_of(join_mark=True))
        .where(percent.is_not(None), at > now_ms - HOUR_MS, DEVICE.c.revoked_at_ms.is_(None), due)
        .order_by(DEVICE.c.id)
        .limit(AT_ONCE)
    )
    return [_next_mark(*row) for row in connection.execute(statement)]


def _next_mark(
    device_id: str,
    percent: int,
    at_ms: int,
    next_percent: int | None,
    next_at_ms: int | None,
    charged: bool | None,  # noqa: FBT001
) -> dict[str, object]:
    begun = (percent, at_ms) if next_percent is None or next_at_ms is None or charged else (next_percent, next_at_ms)
    return {
        "device_id": device_id,
        "percent": begun[0],
        "at_ms": begun[1],
        "next_percent": percent,
        "next_at_ms": at_ms,
    }


def _mark(rows: Sequence[dict[str, object]], connection: Connection) -> None:
    new = _INSERTS[connection.dialect.name](MARK)
    changed = {name: new.excluded[name] for name in ("percent", "at_ms", "next_percent", "next_at_ms")}
    connection.execute(new.on_conflict_do_update(index_elements=[MARK.c.device_id], set_=changed), list(rows))


# -- Sites


_SILENT: Final = and_(ALERT.c.kind == SILENT, ALERT.c.cleared_at_ms.is_(None))
_IN_USE: Final = and_(
    DEVICE.c.site != "",
    DEVICE.c.revoked_at_ms.is_(None),
    DEVICE.c.service != repository.MAINTENANCE,
    STATE.c.seen_at_ms.is_not(None),
)


def look_at_sites(connection: Connection) -> list[Site]:
    """Return the sites whose alert is to begin, to end, or to have more devices' alerts point to it."""
    down = {alert.site: alert for alert in every(connection, DeviceAlert, _DOWN)}
    silences: dict[str, list[Silence]] = defaultdict(list)
    for row in connection.execute(_SILENCES):
        silences[row[0]].append(Silence(*row[1:]))
    if not silences and not down:
        return []
    totals = {row[0]: row[1] for row in connection.execute(_TOTALS)}
    found = [
        Site(name, totals.get(name, 0), silences.get(name, []), down.get(name)) for name in sorted({*silences, *down})
    ]
    return [site for site in found if site.has_work()][:AT_ONCE]


_DOWN: Final = select(ALERT).where(ALERT.c.kind == SITE_DOWN, ALERT.c.cleared_at_ms.is_(None))
_SILENCES: Final = (
    select(DEVICE.c.site, ALERT.c.id, STATE.c.seen_at_ms, ALERT.c.group_id)
    .select_from(rows_of(join_mark=False).join(ALERT, ALERT.c.device_id == DEVICE.c.id))
    .where(_IN_USE, _SILENT)
    .order_by(ALERT.c.device_id)
)
_TOTALS: Final = (
    select(DEVICE.c.site, func.count()).select_from(rows_of(join_mark=False)).where(_IN_USE).group_by(DEVICE.c.site)
)


def settle_site(site: Site, now_ms: int, connection: Connection) -> None:
    """Raise, keep or end the alert of a site, and have its devices' alerts point to it."""
    alert = site.alert
    if alert is not None and site.has_recovered():
        repository.clear_it(connection, alert, RULE, now_ms)
        connection.execute(update(ALERT).where(ALERT.c.group_id == alert.id).values(group_id=null()))
        return
    if alert is None:
        alert = _new_site_alert(site, now_ms)
        if not repository.add(connection, alert):
            return  # another instance has
        ALERTS_RAISED.labels(alert.severity).inc()
    new = [silence.alert_id for silence in site.silences if silence.group_id is None]
    connection.execute(update(ALERT).where(ALERT.c.id.in_(new)).values(group_id=alert.id))


def _new_site_alert(site: Site, now_ms: int) -> DeviceAlert:
    return DeviceAlert(
        id=new_id(),
        site=site.name,
        kind=SITE_DOWN,
        severity=severity_of(SITE_DOWN),
        detail=f"{len(site.silences)} of {site.devices} devices fell silent together",
        opened_at_ms=now_ms,
        last_at_ms=now_ms,
    )
