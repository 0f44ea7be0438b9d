"""How devices are used: by hour of the week and place, idle ones, turnover, and what should be moved where."""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from sqlalchemy import Connection

from session_service.reports import use_repository as repository
from session_service.reports.days import Span, hour_of_week
from session_service.reports.moves import Move, Place, suggest
from session_service.reports.places import Grid, grid_at, name_of
from session_service.reports.use_repository import Cell, Idle

IDLE_MAX: Final = 200
HEAT_MAX: Final = 500  # places: more are not told apart on a map; the busiest are shown

HOURS: Final = 168


class Heat(NamedTuple):
    """What began and ended in a place in each of the 168 hours of the week, from midnight on Monday."""

    place: str
    middle: tuple[float, float] | None
    starts: list[int]
    ends: list[int]


class Turnover(NamedTuple):
    """Sessions and fares of a kind of device; ``per_device_day`` is sessions a device and day."""

    kind: str
    devices: int
    sessions: int
    fares_minor: int
    per_device_day: float


class Use(NamedTuple):
    """Everything about use in some days."""

    heat: list[Heat]
    idle: list[Idle]
    turnover: list[Turnover]
    moves: list[Move]


def use(connection: Connection, span: Span, idle_before_ms: int, *, by_site: bool) -> Use:
    """Return how devices were used. Moves are between squares of the grid: a site is a device's home, not its place."""
    grid = grid_at(repository.middle_latitude(connection))
    asked = None if by_site else grid
    starts, ends = repository.starts(connection, span, asked), repository.ends(connection, span, asked)
    heat = _heat(starts, ends, span.zone, grid)
    moves = [] if by_site else suggest(_places(connection, heat, grid, span.days))
    turnover = [
        Turnover(*row, per_device_day=round(row[2] / row[1] / span.days, 3) if row[1] else 0.0)
        for row in repository.turnover(connection, span)
    ]
    busiest = sorted(heat, key=lambda one: (-sum(one.starts) - sum(one.ends), one.place))[:HEAT_MAX]
    return Use(busiest, repository.idle(connection, idle_before_ms, IDLE_MAX), turnover, moves)


def _heat(starts: list[Cell], ends: list[Cell], zone: str, grid: Grid) -> list[Heat]:
    hours = {cell.quarter: hour_of_week(cell.quarter, zone) for cell in (*starts, *ends)}
    found: dict[str, Heat] = {}
    for cells, began in ((starts, True), (ends, False)):
        for cell in cells:
            name, middle = _place(cell.row, cell.column, cell.site, grid)
            heat = found.setdefault(name, Heat(name, middle, [0] * HOURS, [0] * HOURS))
            (heat.starts if began else heat.ends)[hours[cell.quarter]] += cell.sessions
    return list(found.values())


def _place(row: int | None, column: int | None, site: str | None, grid: Grid) -> tuple[str, tuple[float, float] | None]:
    if row is None or column is None:
        return site or "", None
    return name_of(row, column), grid.middle(row, column)


def _places(connection: Connection, heat: list[Heat], grid: Grid, days: int) -> list[Place]:
    stand: Counter[str] = Counter()
    middles: dict[str, tuple[float, float]] = {one.place: one.middle for one in heat if one.middle is not None}
    for row, column, _, count in repository.standing(connection, grid):
        if row is not None and column is not None:
            name = name_of(row, column)
            stand[name] += count
            middles[name] = grid.middle(row, column)
    used = {one.place: (sum(one.starts), sum(one.ends)) for one in heat}
    return [Place(name, middle, stand[name], *used.get(name, (0, 0)), days) for name, middle in middles.items()]
