"""Reads a sense at its rate; what is broken is ``None``, and one line in the log for each cause."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

logger = logging.getLogger(__name__)

LOST_AFTER: Final = 2  # failures in a row: a bus that was busy for once is no loss
RETRY_MS: Final = 2_000  # after a failure that is not a loss yet
TELL_AGAIN_MS: Final = 3_600_000  # a loose plug comes and goes; its line comes once an hour
MIDDLE_OF: Final = 3

T = TypeVar("T")


class SenseError(Exception):
    """A sense does not answer, or makes no sense. The text is its cause, the same each time."""


class Due(Protocol):
    """What is done when its time has come, in the thread of the senses."""

    @property
    def due_ms(self) -> int | None:
        """The uptime at which ``sample`` has something to do, ``None`` for never."""

    def sample(self, now_ms: int) -> None:
        """Do it. It may block for a second, and never raises."""


class Sampled(Generic[T]):
    """The newest value of a sense, read every ``every_ms``.

    Attributes:
        value: ``None`` while it is not known.
        cause: why it could not be read last time, ``None`` if it could.
        due_ms: when it is read next.
    """

    def __init__(self, name: str, read: Callable[[], T | None], every_ms: int) -> None:
        """Begin without a value, to be read at once. Whatever ``read`` raises is a cause, and no end of the agent."""
        self.name = name
        self.value: T | None = None
        self.cause: str | None = None
        self.due_ms = 0
        self._read, self._every_ms = read, every_ms
        self._failures = 0
        self._told: tuple[str, int] | None = None
        self._silent = True

    def sample(self, now_ms: int) -> None:
        """See ``Due``."""
        self.due_ms = now_ms + self._every_ms
        try:
            value = self._read()
        except Exception as error:  # noqa: BLE001 - another package's display, or bytes where text should be
            known = isinstance(error, SenseError | OSError)
            self._fail(str(error) if known else f"{type(error).__name__}: {error}", now_ms)
            return
        if self.cause is not None and not self._silent:
            logger.info("sense is back sense=%s", self.name)
        self.value, self.cause, self._failures, self._silent = value, None, 0, True

    def _fail(self, cause: str, now_ms: int) -> None:
        self.cause, self._failures = cause, self._failures + 1
        if self._failures < LOST_AFTER:
            self.due_ms = min(self.due_ms, now_ms + RETRY_MS)
            return
        self.value = None
        if self._told is None or self._told[0] != cause or now_ms >= self._told[1] + TELL_AGAIN_MS:
            self._told, self._silent = (cause, now_ms), False
            logger.warning("sense is lost sense=%s cause=%s", self.name, cause)


class Middle:
    """The middle of the three newest readings, so that one that is far off counts for nothing."""

    def __init__(self, read: Callable[[], float]) -> None:
        self._read = read
        self._newest: deque[float] = deque(maxlen=MIDDLE_OF)

    def __call__(self) -> float:
        """Read, at first three times: no single reading may be the first that counts.

        Raises:
            Exception: as the reading itself does; all before it are forgotten.
        """
        try:
            while len(self._newest) < MIDDLE_OF - 1:
                self._newest.append(self._read())
            self._newest.append(self._read())
        except Exception:
            self._newest.clear()
            raise
        return sorted(self._newest)[MIDDLE_OF // 2]
