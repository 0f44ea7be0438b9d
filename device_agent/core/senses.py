"""From readings to statements: a settled bolt, a changed place, a low battery."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from broker.contract.codes import Bolt, Cause
from broker.contract.messages import Position, Status
from device_agent.core.limits import Limits

METRES_PER_DEGREE: Final = 111_195.0  # of latitude, on a sphere; the bound is a thousand times coarser than the error


@dataclass(frozen=True, slots=True)
class BoltChange:
    """The bolt moved without a command and has stood still since ``since_ms``."""

    bolt: Bolt
    cause: Cause
    since_ms: int
    inside: bool = False


class Senses:
    """The newest readings, and what of them a report has already told."""

    def __init__(self, limits: Limits, told_bolt: Bolt | None) -> None:
        self._limits = limits
        self.status = Status(bolt=Bolt.UNKNOWN)
        self.told_bolt = told_bolt
        self._told_position: Position | None = None
        self._change: BoltChange | None = None
        self._moved_at_ms: int | None = None
        self._battery_low = False

    def observe(self, status: Status, cause: Cause, now_ms: int, *, inside: bool = False) -> None:
        """Take readings; a bolt that differs from what a report explained must settle before it counts."""
        self.status = status
        if self._told_position is None:
            self._told_position = status.position
        if status.bolt == self.told_bolt:
            self._change = None
        elif self._change is None or self._change.bolt != status.bolt:
            self._change = BoltChange(status.bolt, cause, now_ms, inside)

    def take(self, status: Status) -> None:
        """Take readings whose bolt a command explains."""
        self.status = status

    def tell(self, *, bolt_explained: bool) -> Status:
        """Return the readings for a report. Only one that explains the bolt ends the wait for a report that does."""
        self._told_position = self.status.position
        if bolt_explained:
            self.told_bolt = self.status.bolt
            self._change = None
        return self.status

    def bolt_change(self, now_ms: int, *, settled: bool = True) -> BoltChange | None:
        """Return a change that no report has told; with ``settled=False`` also one that is too new to trust."""
        change = self._change
        if change is None or (settled and now_ms < change.since_ms + self._limits.settle_ms):
            return None
        return change

    def moved(self, now_ms: int) -> bool:
        """Whether the device stands elsewhere than in its last report; true once in ``moved_gap_ms``."""
        if not self._is_elsewhere() or (self._moved_at_ms is not None and now_ms < self._moved_due_ms()):
            return False
        self._moved_at_ms = now_ms
        return True

    def battery_fell(self) -> bool:
        """Whether the battery became low; true once until it was well again."""
        percent = self.status.battery_percent
        if percent is None:
            return False
        if self._battery_low:
            self._battery_low = percent < self._limits.battery_well_percent
            return False
        self._battery_low = percent <= self._limits.battery_low_percent
        return self._battery_low

    def due_ms(self) -> int | None:
        """Return when a reading becomes a statement by waiting."""
        due = [] if self._change is None else [self._change.since_ms + self._limits.settle_ms]
        if self._moved_at_ms is not None and self._is_elsewhere():
            due.append(self._moved_due_ms())
        return min(due, default=None)

    def _moved_due_ms(self) -> int:
        return (self._moved_at_ms or 0) + self._limits.moved_gap_ms

    def _is_elsewhere(self) -> bool:
        then, now = self._told_position, self.status.position
        if then is None or now is None:
            return False
        # Two standard radii: a place stated to 100 m has not changed because it reads 50 m away.
        return distance_m(then, now) > max(self._limits.moved_bound_m, then.accuracy_m + now.accuracy_m)


def distance_m(a: Position, b: Position) -> float:
    """Return the distance in metres; good to 1 % up to 100 km, away from the poles and the date line."""
    east = (b.lon - a.lon) * math.cos(math.radians((a.lat + b.lat) / 2))
    return METRES_PER_DEGREE * math.hypot(b.lat - a.lat, east)
