"""What the agent tells systemd (sd_notify(3)): that it is ready, that it lives, that it stops.

Without systemd every call does nothing. That it lives is said by the loop that decides, and by nothing else: a timer
would go on saying so while the loop hangs.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Final

SHARE: Final = 2  # says so twice within the time that systemd allows, as sd_watchdog_enabled(3) advises


class Manager:
    """The service manager that started this program, if one did.

    Attributes:
        alive_every_ms: how often ``alive`` has to be called, ``None`` for never.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        """Read what systemd has set."""
        self._address = environ.get("NOTIFY_SOCKET", "").replace("@", "\0", 1)
        for_us = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        allowed_us = int(environ.get("WATCHDOG_USEC", "0")) if for_us and self._address else 0
        self.alive_every_ms = allowed_us // 1_000 // SHARE or None

    def ready(self) -> None:
        """Say that the agent has read its journal and listens to its lock."""
        self._say("READY=1")

    def alive(self) -> None:
        """Say that the loop goes round."""
        self._say("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that the agent ends by itself."""
        self._say("STOPPING=1")

    def _say(self, words: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as way:
                way.sendto(words.encode(), self._address)
        except OSError:
            return  # a manager that does not listen is none; the lock matters more
