"""A device's uptime, seen from outside (DESIGN 3): what dates commands for it, and evidence from it.

An anchor says: at real time ``at_ms`` the uptime was at least ``uptime_ms``. A message proves that of the moment of
its arrival. Delay on the way only makes the estimate low, so a deadline reckoned from it comes early and never late.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MAX_AGE_MS: Final = 60_000  # crystals drift by up to 50 ppm, 3 ms a minute: a best message ages, a mean one is fresh


@dataclass(frozen=True, slots=True)
class Anchor:
    """At real time ``at_ms`` the device's uptime was at least ``uptime_ms``; both in milliseconds."""

    uptime_ms: int
    at_ms: int

    @property
    def lead_ms(self) -> int:
        """How far the uptime is ahead of real time: the greater, the less delayed was the message."""
        return self.uptime_ms - self.at_ms


def raised_by_report(old: Anchor, new: Anchor) -> Anchor | None:
    """Return ``new`` if it is a later word than ``old`` and makes the estimate higher, else ``None``.

    A report speaks of the past: it may have lain in a journal for hours, and most say less than is known.
    """
    return new if new.uptime_ms > old.uptime_ms and new.lead_ms > old.lead_ms else None


def renewed_by_heartbeat(old: Anchor, new: Anchor) -> Anchor:
    """Return the anchor to keep: ``new`` also replaces one that is older than ``MAX_AGE_MS``.

    An uptime that does not go on is a message that was repeated or overtaken: it says nothing new.
    """
    aged = new.at_ms - old.at_ms > MAX_AGE_MS
    return new if new.uptime_ms > old.uptime_ms and (aged or new.lead_ms >= old.lead_ms) else old


def uptime_at(anchor: Anchor, real_ms: int) -> int:
    """Return the uptime that the device had at least reached at ``real_ms``, which is not before the anchor."""
    return anchor.uptime_ms + max(0, real_ms - anchor.at_ms)


def real_time_of(anchor: Anchor, uptime_ms: int) -> int:
    """Return when the device had been up for ``uptime_ms``: at the latest, for the anchor's message was under way."""
    return anchor.at_ms + uptime_ms - anchor.uptime_ms
