"""Watches the broker's certificate and lists, so that what the service revokes is in force within seconds."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from broker.mosquitto.errors import MosquittoError
from broker.mosquitto.files import Certificates

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0  # a revoked device must be out within 10 s; a look is four calls of stat


class Watch:
    """A thread that calls ``apply`` when one of the files has changed since ``stamp``, until it is ended."""

    def __init__(self, certificates: Certificates, stamp: tuple[int, ...], apply: Callable[[], None]) -> None:
        self._certificates = certificates
        self._seen = stamp
        self._apply = apply
        self._ended = threading.Event()
        threading.Thread(target=self._run, name="mosquitto-watch", daemon=True).start()

    def end(self) -> None:
        """Call ``apply`` no more; one call may be under way."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(LOOK_EVERY_S):
            try:
                self._look()
            except (MosquittoError, OSError) as error:
                if not self._ended.is_set():
                    logger.error("revocations are not in force yet, trying again: %s", error)  # noqa: TRY400

    def _look(self) -> None:
        now = self._certificates.stamp()  # first, so that a change while it is applied is seen the next time
        if now != self._seen:
            self._apply()
            self._seen = now
