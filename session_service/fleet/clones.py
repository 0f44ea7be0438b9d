"""Finds identities that two machines use at once, by their heartbeats: a copied card, or a stolen key.

Each boot of a device has a random id, and the heartbeats of a boot carry its uptime, signed. One machine boots, speaks,
stops and boots again: once the boot B has begun, nobody ever was in boot A again. Two machines with one identity take
turns: A, B, A. An ordinary reboot does not look like that. It is A, then B, and the last word of A may come after the
first of B if the broker has held it back; but that word was spoken, by its own uptime, before B began. So what counts
is not the order of arrival but the moment of which a heartbeat speaks: an alert is raised if the boot that began
earlier was still up well after the later one had begun. Neither repeating nor delaying messages makes that so, for
the uptime is signed. Both machines have a good key; which one is the thief, a person has to find out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

from session_service.devices import heartbeats
from session_service.devices import service as devices
from session_service.devices.anchor import Anchor, real_time_of
from session_service.devices.heartbeats import Beat

ALERT: Final = "cloned_identity"
SLACK_MS: Final = 30_000  # a message of which a moment is reckoned was under way: as long as one heartbeat is plenty


def note_clones(connection: Connection, beats: Sequence[Beat]) -> list[str]:
    """Raise an alert for each device of which two machines speak; return those for which none was open.

    To be called before the heartbeats are noted.
    """
    current = heartbeats.current_anchors(connection, {beat.device for beat, _ in beats})
    found = []
    for beat, at_ms in beats:
        boot_id, anchor = current.get(beat.device, (beat.boot_id, None))
        if anchor is None or boot_id == beat.boot_id:
            continue
        before = heartbeats.anchor_of(connection, beat.device, beat.boot_id)
        if before is None or not are_two(before, beat.uptime_ms, anchor):
            continue
        detail = f"boot {beat.boot_id} was up after boot {boot_id} had begun: two machines have its keys"
        if devices.open_alert(connection, beat.device, ALERT, detail, at_ms):
            found.append(beat.device)
    return found


def are_two(before: Anchor, uptime_ms: int, current: Anchor) -> bool:
    """Return whether a boot that had the anchor ``before`` and now says ``uptime_ms`` outlived its successor's begin.

    Of two machines that take turns only the one that booted first can tell; it has its turn soon.
    """
    begun_ms, current_begun_ms = real_time_of(before, 0), real_time_of(current, 0)
    spoken_ms = real_time_of(before, uptime_ms)
    return uptime_ms > before.uptime_ms and begun_ms < current_begun_ms < spoken_ms - SLACK_MS
