from __future__ import annotations

from pathlib import Path

import pytest

from broker.contract.messages import Position
from simulators.errors import TripsError
from simulators.trips import read_trips

STATIONS = """id,name,latitude,longitude,dpcapacity,landmark,online date
5,Mill Bridge,41.5,-87.5,19,30,6/28/2013
6,"Oak Row, North",41.6,-87.6,15,31,6/28/2013
"""
TRIPS = """starttime,bikeid,tripduration,from_station_name,to_station_name
6/27/2013 12:11,480,316,Mill Bridge,"Oak Row, North"
6/27/2013 12:09,77,"1,064",Mill Bridge,Mill Bridge
6/27/2013 12:11,77,61,Mill Bridge,Mill Bridge
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stations.csv").write_text(STATIONS)
    (tmp_path / "trips.csv").write_text(TRIPS)
    return tmp_path


def test_trips_come_in_order_of_their_start_and_keep_the_files_order_within_a_minute(folder: Path) -> None:
    assert [(trip.bike, trip.duration_s) for trip in read_trips(folder)] == [(77, 1064), (480, 316), (77, 61)]


def test_a_trip_knows_its_places_and_its_time(folder: Path) -> None:
    first, second, _ = read_trips(folder)
    assert second.start_s - first.start_s == 120
    assert second.destination.name == "Oak Row, North"
    assert second.destination.position == Position(lat=41.6, lon=-87.6)


def test_count_and_skip_choose_from_the_ordered_trips(folder: Path) -> None:
    assert [trip.bike for trip in read_trips(folder, count=1, skip=1)] == [480]


def test_a_trip_between_unknown_stations_is_named_with_its_line(folder: Path) -> None:
    (folder / "trips.csv").write_text(TRIPS.replace("Mill Bridge,Mill Bridge", "Mill Bridge,Nowhere", 1))
    with pytest.raises(TripsError, match=r"trips\.csv, line 3: .*Nowhere"):
        read_trips(folder)


@pytest.mark.parametrize("wrong", ["6/27/2013 25:11", "yesterday", ""])
def test_a_wrong_time_is_named_with_its_line(folder: Path, wrong: str) -> None:
    (folder / "trips.csv").write_text(TRIPS.replace("6/27/2013 12:11", wrong, 1))
    with pytest.raises(TripsError, match=r"trips\.csv, line 2"):
        read_trips(folder)


def test_a_folder_without_files_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(TripsError, match=r"needs a folder with trips\.csv and stations\.csv"):
        read_trips(tmp_path)


def test_nothing_left_after_skipping_is_an_error(folder: Path) -> None:
    with pytest.raises(TripsError, match="has 3 trips; with 3 skipped none is left"):
        read_trips(folder, skip=3)
