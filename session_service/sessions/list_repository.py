"""SQL for the list of sessions that operators page through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, Connection, bindparam, not_, select, true

from session_service.database import every, table_of
from session_service.devices.model import Device
from session_service.sessions.machine import LIVE, SessionState
from session_service.sessions.model import Session, SessionTable
from session_service.sessions.repository import IS_LIVE

NEVER_STORED: Final = frozenset({SessionState.REQUESTED, SessionState.REFUSED})
LIVE_MARK: Final = "live-"  # before the id in a place of which the rest of the running sessions comes first

_SESSION: Final = table_of(SessionTable)
_DEVICE: Final = table_of(Device)
# Found by an index that holds no others, and not by going back in time until there are enough.
_LIVE_IDS: Final = select(_SESSION.c.id).where(IS_LIVE).correlate(None)


class Order(StrEnum):
    """In which order sessions are listed; ids grow with time."""

    NEWEST = "newest"
    OLDEST = "oldest"  # as a queue is worked off
    RUNNING = "running"  # those that run, the newest first, and then the others so


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which sessions to list. ``after`` is a place in their order, ``None`` its beginning; else it stands for any."""

    order: Order = Order.NEWEST
    after: str | None = None
    limit: int = 100
    state: SessionState | None = None
    kind: str | None = None
    site: str | None = None
    device_id: str | None = None
    rider_id: str | None = None

    def terms(self) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions but that of the place."""
        if self.state in LIVE:
            yield _SESSION.c.id.in_(_LIVE_IDS.where(_SESSION.c.state == self.state))
        elif self.state is not None:
            yield _SESSION.c.state == bindparam("state_", str(self.state), literal_execute=True)
        for name in ("kind", "device_id", "rider_id"):
            if (value := getattr(self, name)) is not None:
                yield _SESSION.c[name] == value
        if self.site is not None:
            yield _SESSION.c.device_id.in_(select(_DEVICE.c.id).where(_DEVICE.c.site == self.site))


@dataclass(frozen=True, slots=True)
class Page:
    """Some sessions, and the place after them if there may be more."""

    sessions: list[Session]
    next_after: str | None


def page(connection: Connection, wanted: Wanted) -> Page:
    """Return at most ``wanted.limit`` sessions."""
    if wanted.state in NEVER_STORED:
        return Page([], None)
    if wanted.order is Order.RUNNING:
        return _running_first(connection, wanted)
    return _page(_read(connection, wanted, wanted.after, wanted.limit), wanted.limit)


def _running_first(connection: Connection, wanted: Wanted) -> Page:
    """Read what runs, and fill the page up with what does not."""
    after = wanted.after
    running: list[Session] = []
    if after is None or after.startswith(LIVE_MARK):
        place = None if after is None else after.removeprefix(LIVE_MARK)
        running = _read(connection, wanted, place, wanted.limit, _SESSION.c.id.in_(_LIVE_IDS))
        if len(running) == wanted.limit:
            return Page(running, LIVE_MARK + running[-1].id)
        after = None
    rest = _read(connection, wanted, after, wanted.limit - len(running), not_(IS_LIVE))
    return _page([*running, *rest], wanted.limit)


def _page(found: list[Session], limit: int) -> Page:
    return Page(found, found[-1].id if len(found) == limit else None)


def _read(
    connection: Connection, wanted: Wanted, after: str | None, limit: int, *terms: ColumnElement[bool]
) -> list[Session]:
    oldest_first = wanted.order is Order.OLDEST
    statement = select(_SESSION).where(true(), *wanted.terms(), *terms).limit(limit)
    if after is not None:
        statement = statement.where(_SESSION.c.id > after if oldest_first else _SESSION.c.id < after)
    return every(connection, Session, statement.order_by(_SESSION.c.id if oldest_first else _SESSION.c.id.desc()))
