"""The rules of telemetry: what is stored, when it is rolled up, and when it is forgotten.

A minute is rolled up once, from the raw rows themselves, when it has been over for as long as late heartbeats are
waited for; an hour once, from its minutes. How far it is stands in the row that the same transaction writes: a crash
undoes both or neither, so nothing is lost or counted twice. What comes for a time that has been rolled up is too late,
and refused. All of it goes in steps of milliseconds, because on SQLite riders wait behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from session_service.settings import Settings
from session_service.telemetry import partitions, repository
from session_service.telemetry.model import TelemetryProgress
from session_service.telemetry.repository import HOURS, MINUTES
from session_service.telemetry.sample import HOUR_MINUTES, MINUTE_MS, Sample

DEVICES_A_STEP: Final = 200  # rolled up in one transaction, which riders wait for: docs/performance.md says how long
ROWS_A_STEP: Final = 1_000  # deleted in one transaction, on SQLite: a contiguous stretch of 10 pages
LEASE_MS: Final = 30_000  # then another instance takes over from one that is gone
DAY_MINUTES: Final = 1_440
DAY_HOURS: Final = 24
NONE_YET: Final = -1  # below every device


class NotTheWriterError(Exception):
    """Another instance writes telemetry, and hears the same heartbeats."""


@dataclass(frozen=True, slots=True)
class Kept:
    """How long telemetry is kept, and waited for.

    Attributes:
        raw_days: single heartbeats.
        minutes_days: minutes; hours are kept for good.
        late_ms: how long after its minute a heartbeat is still stored.
    """

    raw_days: int = 7
    minutes_days: int = 90
    late_ms: int = 120_000

    @classmethod
    def of(cls, settings: Settings) -> Kept:
        """Return what an installation has set."""
        return cls(settings.telemetry_raw_days, settings.telemetry_minutes_days, settings.telemetry_late_ms)


class Telemetry:
    """The rules with their settings. Its methods are units of work, each of one short transaction."""

    def __init__(self, kept: Kept, me: str) -> None:
        """Keep the settings; ``me`` names this instance, of which one alone writes."""
        self.kept = kept
        self._me = me

    def store(self, connection: Connection, samples: Sequence[Sample], now_ms: int) -> int:
        """Store heartbeats and return how many came too late. A repeated one changes nothing.

        Raises:
            NotTheWriterError: another instance does it.
        """
        progress = self._progress(connection, now_ms)
        first_open = progress.minutes_through + (progress.minutes_after != NONE_YET)
        in_time = [sample for sample in samples if sample.minute >= first_open]
        if in_time:
            repository.insert_raw(connection, in_time)
        return len(samples) - len(in_time)

    def roll_up(self, connection: Connection, now_ms: int) -> bool:
        """Roll up a step of the oldest minute or hour that is due; return whether there was one.

        Raises:
            NotTheWriterError: another instance does it.
        """
        progress = self._progress(connection, now_ms)
        due = (now_ms - self.kept.late_ms) // MINUTE_MS
        return _roll_minute(connection, progress, due) or _roll_hour(connection, progress)

    def prepare(self, connection: Connection, now_ms: int) -> None:
        """Make the partitions that will be needed, and drop those that are old; on SQLite there are none.

        Raises:
            NotTheWriterError: another instance does it.
        """
        progress = self._progress(connection, now_ms)
        if connection.dialect.name != "postgresql":
            return
        partitions.make(connection, now_ms // MINUTE_MS // DAY_MINUTES)
        raw_before, minutes_before = self._old(progress, now_ms)
        partitions.drop_before(connection, partitions.RAW, raw_before // DAY_MINUTES)
        partitions.drop_before(connection, partitions.MINUTE, minutes_before // DAY_HOURS)

    def forget(self, connection: Connection, now_ms: int) -> bool:
        """Delete a step of what is older than it is kept, on SQLite; return whether there may be more.

        Raises:
            NotTheWriterError: another instance does it.
        """
        progress = self._progress(connection, now_ms)
        if connection.dialect.name == "postgresql":
            return False
        raw_before, minutes_before = self._old(progress, now_ms)
        gone = repository.forget_some(connection, MINUTES, raw_before, ROWS_A_STEP)
        gone += repository.forget_some(connection, HOURS, minutes_before, ROWS_A_STEP)
        return gone >= ROWS_A_STEP

    def _old(self, progress: TelemetryProgress, now_ms: int) -> tuple[int, int]:
        """Return the first minute that raw rows are kept of, and the first hour of minutes: nothing not rolled up."""
        minute = now_ms // MINUTE_MS
        raw = min(minute - self.kept.raw_days * DAY_MINUTES, progress.minutes_through)
        hour = min(minute // HOUR_MINUTES - self.kept.minutes_days * DAY_HOURS, progress.hours_through)
        return raw, hour

    def _progress(self, connection: Connection, now_ms: int) -> TelemetryProgress:
        """Lock the progress and return it: whoever writes telemetry does so one after the other."""
        if not self._lease(connection, now_ms):
            if repository.progress(connection) is None:
                repository.begin(connection, self._beginning(connection, now_ms))
            if not self._lease(connection, now_ms):
                raise NotTheWriterError
        progress = repository.progress(connection)
        if progress is None:
            raise NotTheWriterError  # it was there a moment ago, locked by us
        return progress

    def _lease(self, connection: Connection, now_ms: int) -> bool:
        return repository.take_lease(connection, self._me, now_ms, now_ms + LEASE_MS)

    def _beginning(self, connection: Connection, now_ms: int) -> TelemetryProgress:
        minute = (now_ms - self.kept.late_ms) // MINUTE_MS
        if connection.dialect.name == "postgresql":
            partitions.make(connection, now_ms // MINUTE_MS // DAY_MINUTES)
        return TelemetryProgress(
            id=1,
            writer=self._me,
            lease_until_ms=0,
            minutes_through=minute,
            minutes_after=NONE_YET,
            hours_through=minute // HOUR_MINUTES,
            hours_after=NONE_YET,
        )


def _roll_minute(connection: Connection, progress: TelemetryProgress, due: int) -> bool:
    minute: int | None = progress.minutes_through
    if progress.minutes_after == NONE_YET:
        minute = repository.next_unit(connection, MINUTES, progress.minutes_through)
    if minute is None or minute >= due:
        if due > progress.minutes_through:  # so much time without a word: hours go on
            repository.set_progress(connection, minutes_through=due)
            progress.minutes_through = due
        return False
    after = progress.minutes_after
    last = repository.last_device(connection, MINUTES, minute, after, DEVICES_A_STEP)
    repository.roll_up(connection, MINUTES, minute, after, last)
    through = minute + 1 if last is None else minute
    repository.set_progress(connection, minutes_through=through, minutes_after=NONE_YET if last is None else last)
    return True


def _roll_hour(connection: Connection, progress: TelemetryProgress) -> bool:
    due = progress.minutes_through // HOUR_MINUTES  # of which every minute is there
    hour: int | None = progress.hours_through
    if progress.hours_after == NONE_YET:
        hour = repository.next_unit(connection, HOURS, progress.hours_through)
    if hour is None or hour >= due:
        if due > progress.hours_through:
            repository.set_progress(connection, hours_through=due)
        return False
    last = repository.last_device(connection, HOURS, hour, progress.hours_after, DEVICES_A_STEP)
    repository.roll_up(connection, HOURS, hour, progress.hours_after, last)
    through = hour + 1 if last is None else hour
    repository.set_progress(connection, hours_through=through, hours_after=NONE_YET if last is None else last)
    return True
