"""Boxes hold their circles everywhere on the globe, and walks take as long as people walk."""

from __future__ import annotations

from math import cos, degrees, radians, sin

import pytest

from session_service.finding.places import boxes_around, walking_s
from session_service.presence.distance import EARTH_RADIUS_M, Place, distance_m

RADIUS_M = 2_000


def rim(middle: Place) -> list[Place]:
    """Return points just within the circle around a place, with longitudes as the map writes them."""
    points = []
    for turn in range(0, 360, 15):
        away = degrees(0.999 * RADIUS_M / EARTH_RADIUS_M)
        lat = middle[0] + away * cos(radians(turn))
        lon = middle[1] + away * sin(radians(turn)) / cos(radians(lat))
        points.append((lat, (lon + 180) % 360 - 180))
    return points


@pytest.mark.parametrize(
    "middle", [(48.2, 16.37), (0.0, 0.0), (-33.9, 151.2), (69.6, 18.9), (-16.8, 179.99), (-16.8, -179.99)]
)
def test_what_is_in_the_circle_is_in_a_box(middle: Place) -> None:
    boxes = list(boxes_around(middle, RADIUS_M))

    for lat, lon in rim(middle):
        assert distance_m(middle, (lat, lon)) <= RADIUS_M * 1.01
        holding = [box for box in boxes if box.south <= lat <= box.north and box.west <= lon <= box.east]
        assert len(holding) == 1, (lat, lon)
        assert abs(lon - holding[0].lon) < 0.1, "longitudes in a box count on from its middle"


def test_a_box_is_little_larger_than_its_circle() -> None:
    [box] = boxes_around((48.2, 16.37), RADIUS_M)

    assert distance_m((box.south, 16.37), (box.north, 16.37)) == pytest.approx(2 * RADIUS_M, rel=0.001)
    assert distance_m((48.2, box.west), (48.2, box.east)) == pytest.approx(2 * RADIUS_M, rel=0.001)


@pytest.mark.parametrize(("metres", "seconds"), [(0, 0), (100, 100), (433, 433), (1_300, 1_300)])
def test_a_walk_takes_its_detour_at_a_walkers_pace(metres: float, seconds: int) -> None:
    assert walking_s(metres) == pytest.approx(seconds, abs=1)
