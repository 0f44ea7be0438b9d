"""Reports that have overtaken those before them, on the way through another instance.

With several instances the broker gives one report of a device to this and the next to that one. The second may be
here before the first has been stored there, which looks like a gap. To ask the device again would cost its rider a
fifth of a second, so such a report waits: it is looked at again in a moment, and what is missing then is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from broker.contract.messages import Report
from session_service.fleet.reports import Verdict

WAITS_S: Final = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
"""Between two looks; 0.6 s in all, and then the device is asked as if there were one instance."""
WAITING_MAX: Final = 2_000  # reports at once; beyond, the database is what everybody waits for


class Overtaking:
    """Holds such reports. ``again`` gets each one's device and signed text when it is to be looked at again."""

    def __init__(self, again: Callable[[str, bytes], None]) -> None:
        """Begin with none."""
        self._again = again
        self._looks: dict[tuple[str, str, int], int] = {}

    def holds(self, report: Report, token: str, verdict: Verdict) -> bool:
        """Return whether a report that came to this verdict is looked at again, so that nothing is said of it yet."""
        name = (report.device, report.journal_id, report.seq)
        looks = self._looks.get(name, 0)
        if verdict is not Verdict.GAP or looks == len(WAITS_S) or len(self._looks) >= WAITING_MAX:
            self._looks.pop(name, None)
            return False
        self._looks[name] = looks + 1
        asyncio.get_running_loop().call_later(WAITS_S[looks], self._again, report.device, token.encode())
        return True
