"""Places of the city: squares of a grid of about 300 m. Pure.

A square's name is its row and column. Rows are 0.0027 degrees of latitude, which is 300 m; columns are as many degrees
of longitude as are 300 m at the city's own latitude, so all squares of a city have one size.
"""

from __future__ import annotations

from math import cos, radians
from typing import Final, NamedTuple

ROW_DEGREES: Final = 0.0027
LEAST_COS: Final = 0.05  # nearer to a pole nobody rents bikes


class Grid(NamedTuple):
    """A city's grid; ``column_degrees`` of longitude are 300 m there."""

    column_degrees: float

    def middle(self, row: int, column: int) -> tuple[float, float]:
        """Return the latitude and longitude of a square's middle."""
        return round(row * ROW_DEGREES, 5), round(column * self.column_degrees, 5)


def grid_at(latitude: float) -> Grid:
    """Return the grid of a city at a latitude."""
    return Grid(round(ROW_DEGREES / max(LEAST_COS, cos(radians(latitude))), 6))


def name_of(row: int, column: int) -> str:
    """Return a square's name."""
    return f"{row}:{column}"
