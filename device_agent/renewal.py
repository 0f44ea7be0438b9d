"""Certificates renew themselves: ``renew`` asks for a new one when it is due, ``RenewalWatch`` sees to it.

``renew`` runs in a process of its own, ``unlatch-agent renew``, a few times a day for a second: what it needs (X.509,
HTTPS, the system's authorities) would cost the agent memory for ever, and its mistakes the lock.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from device_agent.backoff import Backoff
from device_agent.identity import Identity

logger = logging.getLogger(__name__)

FIRST_LOOK_S: Final = 600.0  # at most: a city whose power returns does not ask in step, and a boot has other work first
FIRST_RETRY_S: Final = 60.0  # a service that restarts is back by then
_PARTS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewing:
    """What a watch needs.

    Attributes:
        settings_file: which ``unlatch-agent renew`` is given.
        interval_s: how often it looks whether the certificate is due; also the longest time between two tries.
        when_renewed: called from the watch's thread once a new certificate waits to be used.
    """

    settings_file: Path
    identity: Identity
    interval_s: float
    when_renewed: Callable[[], None]


class RenewalWatch:
    """Looks after the certificate from a thread of its own."""

    def __init__(self, renewing: Renewing) -> None:
        self._renewing = renewing
        self._backoff = Backoff(min(FIRST_RETRY_S, renewing.interval_s), renewing.interval_s)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="renewal", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """End soon; a look that is under way goes on by itself and is seen at the next start."""
        self._closing.set()

    def look(self) -> float:
        """Renew if it is due; return how long to wait until the next look, in seconds."""
        identity = self._renewing.identity
        well = identity.renewed or self._ask()
        if identity.renewed:
            self._renewing.when_renewed()
        if not well:
            return self._backoff.next_s()
        self._backoff.reset()
        return self._renewing.interval_s

    def _watch(self) -> None:
        wait_s = _part_of(min(FIRST_LOOK_S, self._renewing.interval_s))
        while not self._closing.wait(wait_s):
            wait_s = self.look()

    def _ask(self) -> bool:
        # Its words go where ours go, and it ends by itself (``cli``). The module ``subprocess`` would cost 300 KiB.
        command = [sys.executable, "-m", "device_agent.cli", "renew", "--config", str(self._renewing.settings_file)]
        try:
            child = os.posix_spawn(sys.executable, command, os.environ)
            _, status = os.waitpid(child, 0)
        except OSError as error:
            logger.warning("renewal not tried error=%s", error)
            return False
        return os.waitstatus_to_exitcode(status) == 0


def _part_of(longest_s: float) -> float:
    return longest_s * secrets.randbelow(_PARTS) / _PARTS
