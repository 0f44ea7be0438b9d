"""Where hits are counted: in memory, and never more of it than for ``KEYS_MAX`` keys a limit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from limits.storage.base import SlidingWindowCounterSupport, Storage

KEYS_MAX: Final = 20_000  # 7 MB a limit, when full


class Count(NamedTuple):
    """Hits of one key: in the window before ``window``, and in it."""

    window: int
    before: int
    now: int


class BoundedStore(Storage, SlidingWindowCounterSupport):
    """A storage for the library ``limits`` that forgets the key that was seen longest ago when it is full.

    The library's own memory storage keeps every key until its time is over, an hour of addresses for instance, and
    starts a thread every 10 ms that walks through all of them; this one has a bound and no thread. Whoever has more
    than ``KEYS_MAX`` addresses can make it forget, so the limits by address are no wall against them; riders are
    counted in stores of their own.

    Args:
        now_s: a clock that does not jump.
        keys_max: how many keys are kept.
    """

    STORAGE_SCHEME = None

    def __init__(self, now_s: Callable[[], float], keys_max: int = KEYS_MAX) -> None:
        super().__init__()
        self._now_s, self._keys_max = now_s, keys_max
        self._counts: OrderedDict[str, Count] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count ``amount`` hits if they stay within ``limit`` in ``expiry`` seconds; say whether they do."""
        count, left_s = self._current(key, expiry)
        if count.before * left_s / expiry > limit - amount - count.now:
            return False
        self._keep(key, Count(count.window, count.before, count.now + amount))
        return True

    def charge(self, key: str, expiry: int, amount: int) -> None:
        """Count ``amount`` hits, whatever the limit."""
        count, _ = self._current(key, expiry)
        self._keep(key, Count(count.window, count.before, count.now + amount))

    def _keep(self, key: str, count: Count) -> None:
        self._counts[key] = count
        self._counts.move_to_end(key)
        if len(self._counts) > self._keys_max:
            self._counts.popitem(last=False)

    def wait_s(self, key: str, limit: int, expiry: int, amount: int = 1) -> float:
        """Return the seconds until ``amount`` more hits stay within the limit; 0 if they do now."""
        count, left_s = self._current(key, expiry)
        free = limit - amount - count.now
        if count.before * left_s / expiry <= free:
            return 0.0
        if free >= 0:
            return left_s - expiry * free / count.before
        fits = max(0, limit - amount) / count.now  # the share of this window's hits that may still weigh
        return left_s + expiry * (1 - fits)

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Return hits and seconds to live of the window before and of this one, as the library asks for them."""
        count, left_s = self._current(key, expiry)
        return count.before, left_s if count.before else 0.0, count.now, left_s + expiry

    def _current(self, key: str, expiry: int) -> tuple[Count, float]:
        """Return a key's hits, moved on to the present window, and the seconds until that one ends."""
        now_s = self._now_s()
        window = int(now_s // expiry)
        count = self._counts.get(key) or Count(window, 0, 0)
        if count.window != window:
            count = Count(window, count.now if count.window == window - 1 else 0, 0)
        return count, (window + 1) * expiry - now_s

    def clear_sliding_window(self, key: str, expiry: int) -> None:  # noqa: ARG002 - the library's port
        """Forget a key."""
        self.clear(key)

    def clear(self, key: str) -> None:
        """Forget a key."""
        self._counts.pop(key, None)

    def reset(self) -> int:
        """Forget all keys; return how many there were."""
        known = len(self._counts)
        self._counts.clear()
        return known

    def check(self) -> bool:
        """Say that it can be used."""
        return True

    @property
    def base_exceptions(self) -> type[Exception]:
        """None of its own."""
        return ValueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Not for windows that do not slide."""
        raise NotImplementedError

    def get(self, key: str) -> int:
        """Not for windows that do not slide."""
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        """Not for windows that do not slide."""
        raise NotImplementedError
