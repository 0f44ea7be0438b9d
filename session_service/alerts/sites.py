"""When a whole site has failed, rather than devices of it: pure rules, all times in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

SITE_MIN_DEVICES: Final = 3  # two that fall silent together may be chance
TOGETHER_MS: Final = 120_000  # heartbeats come every 30 s, and batteries of routers outlive power by a minute
SETTLE_MS: Final = 180_000  # so long nobody is told of one silent device: its site may be about to follow


def has_failed(devices: int, silent_since_ms: Sequence[int]) -> bool:
    """Return whether more than half of a site's devices were last heard of within ``TOGETHER_MS`` of each other."""
    return devices >= SITE_MIN_DEVICES and 2 * _most_together(sorted(silent_since_ms)) > devices


def has_recovered(devices: int, silent: int) -> bool:
    """Return whether no more than half of a site's devices are silent. Those have a reason of their own."""
    return 2 * silent <= devices


def _most_together(moments: Sequence[int]) -> int:
    most = first = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] > TOGETHER_MS:
            first += 1
        most = max(most, last - first + 1)
    return most
