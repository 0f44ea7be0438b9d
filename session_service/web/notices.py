"""When a rider's phone says that the price is about to rise. The phone only waits; what it says is reckoned here.

A tariff by the minute rises all the time, and nobody wants to hear of that. So a step is told of where the price has
stood still for ``WORTH_MS`` before it: the next quarter of an hour, the end of the free minutes, a new day after a cap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from session_service.pricing.tariff import Step, Tariff, fare, next_step
from session_service.sessions.machine import SessionState
from session_service.sessions.model import Session
from session_service.sessions.moves import tariff_of

WORTH_MS: Final = 300_000  # a price that rises more often than every five minutes is no step but a meter
EARLY_MS: Final = 300_000  # five minutes are time enough to walk to a rack, or to put on one's shoes
EARLY_SHARE: Final = 5  # but not more than a fifth of the time that the step before has bought

_RUNNING: Final = frozenset({SessionState.ACTIVE, SessionState.PAUSED})


@dataclass(frozen=True, slots=True)
class Notice:
    """What a ride's page gives to ``notify.js``.

    Attributes:
        running: whether the ride can still end, or become dearer.
        step: the next time at which it becomes dearer (civil time), if that is worth a word.
        step_in_ms: how long it is until then, in real time.
        tell_in_ms: how long the phone waits before it says so, in real time; negative if the time to say so has begun.
    """

    running: bool
    step: Step | None = None
    step_in_ms: int = 0
    tell_in_ms: int = 0


def notice_of(session: Session, now_ms: int, civil_speed: float = 1.0) -> Notice:
    """Return what there is to say of a session after ``now_ms`` (civil time)."""
    if session.state not in _RUNNING or session.started_at_ms is None:
        return Notice(running=session.state == SessionState.LOCKING)
    tariff = tariff_of(session)
    step = next_step(tariff, session.started_at_ms, now_ms)
    if step is None or not _is_worth_a_word(tariff, session.started_at_ms, step):
        return Notice(running=True)
    left_ms = step.at_ms - now_ms
    tell_in_ms = round((left_ms - early_ms(tariff)) / civil_speed)
    return Notice(running=True, step=step, step_in_ms=round(left_ms / civil_speed), tell_in_ms=tell_in_ms)


def early_ms(tariff: Tariff) -> int:
    """Return how long before a step it is told of."""
    bought_ms = max(tariff.interval_s * 1000, tariff.free_s * 1000, WORTH_MS)
    return min(EARLY_MS, bought_ms // EARLY_SHARE)


def _is_worth_a_word(tariff: Tariff, start_ms: int, step: Step) -> bool:
    before_ms = step.at_ms - WORTH_MS
    if before_ms < start_ms:
        return False
    return fare(tariff, start_ms, before_ms + 1).total_minor == fare(tariff, start_ms, step.at_ms).total_minor
