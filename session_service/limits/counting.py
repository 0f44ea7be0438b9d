"""Counting against the table, and the problem of whoever asks too often."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from limits import RateLimitItemPerSecond
from limits.strategies import SlidingWindowCounterRateLimiter

from session_service.clock import stopwatch_s
from session_service.errors import TooManyRequestsError
from session_service.limits.store import BoundedStore
from session_service.limits.table import Gate, Limit

KEY_MAX_CHARS: Final = 128  # a token has 88
GATE_RETRY_S: Final = 5  # a photograph is read in one


class Limits:
    """What this instance counts. Every method takes a few microseconds.

    Args:
        factor: multiplies every amount of the table, at least to 1.
        now_s: a clock that does not jump.
    """

    def __init__(self, factor: float = 1.0, now_s: Callable[[], float] = stopwatch_s) -> None:
        self._factor, self._now_s = factor, now_s
        self._counted: dict[str, tuple[RateLimitItemPerSecond, SlidingWindowCounterRateLimiter, BoundedStore]] = {}
        self._under_way: Counter[tuple[str, str]] = Counter()

    def take(self, limit: Limit, key: str) -> None:
        """Count one request.

        Raises:
            TooManyRequestsError: it is one too many.
        """
        item, limiter, store = self._of(limit)
        key = key[:KEY_MAX_CHARS]
        if not limiter.hit(item, key):
            wait_s = store.wait_s(item.key_for(key), item.amount, item.get_expiry())
            raise _too_many(limit.name, item.amount, limit.seconds, wait_s)

    def charge_failure(self, limit: Limit, key: str) -> None:
        """Let a request that was counted and has failed cost what a failure costs."""
        item, _, store = self._of(limit)
        if limit.failed_cost > 1:
            store.charge(item.key_for(key[:KEY_MAX_CHARS]), item.get_expiry(), limit.failed_cost - 1)

    @contextmanager
    def under_way(self, gate: Gate, key: str) -> Iterator[None]:
        """Be one of those that are under way together.

        Raises:
            TooManyRequestsError: as many as may be are.
        """
        name, most = (gate.name, key[:KEY_MAX_CHARS]), self._scaled(gate.at_once)
        if self._under_way[name] >= most:
            detail = f"At most {most} of these may be under way at once ({gate.name}); end one, or wait for it."
            raise TooManyRequestsError(detail, retry_after_s=GATE_RETRY_S, limit=gate.name)
        self._under_way[name] += 1
        try:
            yield
        finally:
            self._under_way[name] -= 1
            if not self._under_way[name]:
                del self._under_way[name]

    def _of(self, limit: Limit) -> tuple[RateLimitItemPerSecond, SlidingWindowCounterRateLimiter, BoundedStore]:
        found = self._counted.get(limit.name)  # a text knows its hash, a dataclass works it out
        if found is None:
            store = BoundedStore(self._now_s)
            item = RateLimitItemPerSecond(self._scaled(limit.amount), limit.seconds, namespace=limit.name)
            found = self._counted[limit.name] = (item, SlidingWindowCounterRateLimiter(store), store)
        return found

    def _scaled(self, amount: int) -> int:
        return max(1, round(amount * self._factor))


def _too_many(name: str, amount: int, seconds: int, wait_s: float) -> TooManyRequestsError:
    retry_after_s = max(1, math.ceil(wait_s))
    detail = f"At most {amount} in {seconds} s ({name}). Wait {retry_after_s} s, then go on more slowly."
    return TooManyRequestsError(detail, retry_after_s=retry_after_s, limit=name)
