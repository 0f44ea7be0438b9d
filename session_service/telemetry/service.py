"""The rules of telemetry: what is stored, when it is rolled up, and when it is forgotten.

Heartbeats are rows until their hour has been over for as long as late ones are waited for. Then the hour is rolled up
once: the rows become a pack of heartbeats, one of minutes, and the hour itself. How far it is stands in the row that
the same transaction writes: a crash undoes both or neither, so nothing is lost or counted twice. What comes for an hour
that has been rolled up is too late, and refused. All of it goes in steps of milliseconds, because on SQLite riders wait
behind them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from session_service.settings import Settings
from session_service.telemetry import partitions, repository
from session_service.telemetry.columns import fold, minutes_of, of_samples
from session_service.telemetry.model import (
    TelemetryBeats,
    TelemetryHour,
    TelemetryMinute,
    TelemetryProgress,
    TelemetryRaw,
)
from session_service.telemetry.packing import pack
from session_service.telemetry.sample import HOUR_MINUTES, HOUR_MS, Sample

ROWS_A_MINUTE: Final = 6  # of each minute rolled up in one transaction, which riders wait for: four devices' hour
ROWS_A_STEP: Final = 1_000  # heartbeats deleted in one transaction, on SQLite: a contiguous stretch of 10 pages
PACKS_A_STEP: Final = 200  # as many pages
LEASE_MS: Final = 30_000  # then another instance takes over from one that is gone
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
        late_ms: how long after its hour a heartbeat is still stored.
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
        first_open = (progress.hours_through + (progress.hours_after != NONE_YET)) * HOUR_MINUTES
        in_time = [sample for sample in samples if sample.minute >= first_open]
        if in_time:
            repository.insert_raw(connection, in_time)
        return len(samples) - len(in_time)

    def roll_up(self, connection: Connection, now_ms: int) -> bool:
        """Roll up a step of the oldest hour that is due; return whether there was one.

        Raises:
            NotTheWriterError: another instance does it.
        """
        progress = self._progress(connection, now_ms)
        due = (now_ms - self.kept.late_ms) // HOUR_MS
        hour: int | None = progress.hours_through
        if progress.hours_after == NONE_YET:
            hour = repository.next_hour(connection, progress.hours_through)
        if hour is None or hour >= due:
            if due > progress.hours_through:  # so much time without a word
                repository.set_progress(connection, hours_through=due)
            return False
        last = repository.last_device(connection, hour, progress.hours_after, ROWS_A_MINUTE)
        _roll(connection, hour, progress.hours_after, last)
        through = hour + 1 if last is None else hour
        repository.set_progress(connection, hours_through=through, hours_after=NONE_YET if last is None else last)
        return True

    def prepare(self, connection: Connection, now_ms: int) -> None:
        """Make the partitions that will be needed, and drop those that are old; on SQLite there are none.

        Raises:
            NotTheWriterError: another instance does it.
        """
        progress = self._progress(connection, now_ms)
        if connection.dialect.name != "postgresql":
            return
        partitions.make(connection, now_ms // HOUR_MS, progress.hours_through)
        partitions.drop_before(connection, partitions.RAW, progress.hours_through)
        beats_before, minutes_before = self._old(progress, now_ms)
        partitions.drop_before(connection, partitions.BEATS, beats_before)
        partitions.drop_before(connection, partitions.MINUTE, minutes_before)

    def forget(self, connection: Connection, now_ms: int) -> bool:
        """Delete a step of what is packed, or older than it is kept, on SQLite; return whether there may be more.

        Raises:
            NotTheWriterError: another instance does it.
        """
        progress = self._progress(connection, now_ms)
        if connection.dialect.name == "postgresql":
            return False
        beats_before, minutes_before = self._old(progress, now_ms)
        packed = progress.hours_through * HOUR_MINUTES
        gone = repository.forget_some(connection, TelemetryRaw, packed, ROWS_A_STEP) >= ROWS_A_STEP
        for model, before in ((TelemetryBeats, beats_before), (TelemetryMinute, minutes_before)):
            gone |= repository.forget_some(connection, model, before, PACKS_A_STEP) >= PACKS_A_STEP
        return gone

    def _old(self, progress: TelemetryProgress, now_ms: int) -> tuple[int, int]:
        """Return the first hours that heartbeats and minutes are kept of."""
        days = (self.kept.raw_days, self.kept.minutes_days)
        beats, minutes = (min(now_ms // HOUR_MS - it * DAY_HOURS, progress.hours_through) for it in days)
        return beats, minutes

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
        through = (now_ms - self.kept.late_ms) // HOUR_MS
        if connection.dialect.name == "postgresql":
            partitions.make(connection, now_ms // HOUR_MS, through)
        return TelemetryProgress(
            id=1,
            writer=self._me,
            lease_until_ms=0,
            hours_through=through,
            hours_after=NONE_YET,
        )


def _roll(connection: Connection, hour: int, after: int, last: int | None) -> None:
    beats, minutes, hours = [], [], []
    for device, samples in repository.hour_of(connection, hour, after, last).items():
        key = {"hour": hour, "device": device}
        rows = of_samples(samples, hour * repository.HOUR_S)
        by_minute = minutes_of(rows)
        beats.append(key | {"packed": pack(rows)})
        minutes.append(key | {"packed": pack(by_minute)})
        hours.append(key | fold(by_minute))
    for model, made in ((TelemetryBeats, beats), (TelemetryMinute, minutes), (TelemetryHour, hours)):
        repository.add_rows(connection, model, made)
