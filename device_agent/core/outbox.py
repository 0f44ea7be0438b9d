"""The outbox: reports are numbered without gaps and sent until a signed acknowledgement covers them (DESIGN 3)."""

from __future__ import annotations

from enum import IntEnum

from device_agent.core.effects import SendReports
from device_agent.core.limits import Limits


class Weight(IntEnum):
    """What a report is worth; the lightest is dropped first."""

    TELEMETRY = 0  # moved, fault: heartbeats tell it too
    NOTICE = 1  # a refusal, a boot: nothing moved, and the service has deadlines of its own
    EVIDENCE = 2  # the lock was driven, or the bolt moved: never dropped


class Outbox:
    """Numbers, windows and timers. The reports themselves are in the journal.

    Numbers are contiguous, so three marks say it all: ``acked_through <= saved_through <= last_seq``.
    """

    def __init__(self, limits: Limits, last_seq: int, acked_through: int) -> None:
        self._limits = limits
        self.last_seq = last_seq
        self.saved_through = last_seq
        self.acked_through = acked_through
        self.dropped = 0
        self._sent_ever = last_seq  # a former run may have sent them all
        self._sent_through: int | None = None  # on this connection; None while there is none
        self._sent_at_ms = 0
        self._gap_ms = limits.resend_first_ms

    @property
    def depth(self) -> int:
        """How many reports wait for an acknowledgement."""
        return self.last_seq - self.acked_through

    @property
    def linked(self) -> bool:
        """Whether reports can be sent."""
        return self._sent_through is not None

    @property
    def full(self) -> bool:
        """Whether a new unlock must be refused."""
        return self.depth >= self._limits.full_limit

    def take_number(self, weight: Weight) -> int | None:
        """Return the next number, or ``None`` if a report of this weight is dropped now."""
        limit = {Weight.TELEMETRY: self._limits.telemetry_limit, Weight.NOTICE: self._limits.notice_limit}.get(weight)
        if limit is not None and self.depth >= limit:
            self.dropped += 1
            return None
        self.last_seq += 1
        return self.last_seq

    def connected(self) -> None:
        """Begin again after what is acknowledged."""
        self._sent_through = self.acked_through
        self._gap_ms = self._limits.resend_first_ms

    def disconnected(self) -> None:
        """Send nothing until ``connected``."""
        self._sent_through = None

    def acknowledge(self, through: int, now_ms: int) -> bool:
        """Take a verified acknowledgement; return whether it told anything new.

        One beyond what was ever sent is ignored. One that only repeats the last says that the service misses the
        next report: it is sent again at once, though not more often than ``resend_least_ms``.
        """
        if through > self._sent_ever or through < self.acked_through:
            return False
        if through > self.acked_through:
            self.acked_through = through
            self._sent_at_ms = now_ms
            self._gap_ms = self._limits.resend_first_ms
            if self._sent_through is not None:
                self._sent_through = max(self._sent_through, through)
            return True
        if self._sent_through is not None and now_ms - self._sent_at_ms >= self._limits.resend_least_ms:
            self._sent_through = self.acked_through
        return False

    def saved(self, through: int) -> None:
        """Note that the reports up to here are on the disk and may be sent."""
        self.saved_through = max(self.saved_through, through)

    def pump(self, now_ms: int) -> SendReports | None:
        """Return the reports to send now, if any: new ones, or all of the window again when the time is up."""
        if self._sent_through is None:
            return None
        due = self.due_ms()
        if due is not None and now_ms >= due:
            self._sent_through = self.acked_through
            self._gap_ms = min(self._gap_ms * 2, self._limits.resend_last_ms)
        first, last = self._sent_through + 1, min(self.saved_through, self.acked_through + self._limits.window)
        if first > last:
            return None
        if self._sent_through == self.acked_through:
            self._sent_at_ms = now_ms
        self._sent_through = last
        self._sent_ever = max(self._sent_ever, last)
        return SendReports(first, last)

    def due_ms(self) -> int | None:
        """Return when to send again, or ``None`` if nothing is on the way."""
        if self._sent_through is None or self._sent_through == self.acked_through:
            return None
        return self._sent_at_ms + self._gap_ms
