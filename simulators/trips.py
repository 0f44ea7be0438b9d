"""Trips and stations as bike-share schemes publish them: two CSV files in a folder."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from broker.contract.messages import Position
from simulators.errors import TripsError


@dataclass(frozen=True, slots=True)
class Station:
    """A place where bikes stand."""

    name: str
    position: Position


@dataclass(frozen=True, slots=True)
class Trip:
    """One ride by one bike.

    Attributes:
        start_s: Unix time, with the file's local time read as UTC: only differences matter.
        bike: the bike's number, as printed on it.
        duration_s: at least 1.
    """

    start_s: int
    bike: int
    duration_s: int
    origin: Station
    destination: Station


def read_trips(folder: Path, count: int | None = None, skip: int = 0) -> list[Trip]:
    """Return ``count`` trips (all if ``None``) in order of start, without the first ``skip``.

    ``folder`` has ``trips.csv`` (``starttime``, ``bikeid``, ``tripduration``, ``from_station_name``,
    ``to_station_name``) and ``stations.csv`` (``name``, ``latitude``, ``longitude``, degrees in WGS 84).

    Raises:
        TripsError: a file or a column is missing, or a line cannot be read; or no trip is left.
    """
    stations = {station.name: station for station in _stations(folder / "stations.csv")}
    path = folder / "trips.csv"
    trips = [_trip(row, stations, f"{path}, line {line}") for line, row in _rows(path)]
    # In order to within minutes only; the sort is stable, so trips of one minute keep the file's order.
    trips.sort(key=lambda trip: trip.start_s)
    chosen = trips[skip : None if count is None else skip + count]
    if not chosen:
        msg = f"{path} has {len(trips)} trips; with {skip} skipped none is left"
        raise TripsError(msg)
    return chosen


def _stations(path: Path) -> Iterator[Station]:
    for line, row in _rows(path):
        try:
            position = Position(lat=float(row["latitude"]), lon=float(row["longitude"]))
            yield Station(row["name"], position)
        except (KeyError, ValueError, TypeError) as error:
            msg = f"{path}, line {line}: expected name, latitude and longitude ({error!r})"
            raise TripsError(msg) from error


def _trip(row: dict[str, str], stations: dict[str, Station], where: str) -> Trip:
    try:
        start = datetime.strptime(row["starttime"], "%m/%d/%Y %H:%M").replace(tzinfo=UTC)
        return Trip(
            start_s=int(start.timestamp()),
            bike=int(row["bikeid"]),
            duration_s=max(1, int(row["tripduration"].replace(",", ""))),
            origin=stations[row["from_station_name"]],
            destination=stations[row["to_station_name"]],
        )
    except (KeyError, ValueError, AttributeError) as error:
        msg = f"{where}: not a trip between stations that stations.csv has ({error!r})"
        raise TripsError(msg) from error


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield from enumerate(csv.DictReader(file), start=2)
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read ({error}); a replay needs a folder with trips.csv and stations.csv"
        raise TripsError(msg) from error
