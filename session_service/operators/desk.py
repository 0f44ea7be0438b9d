"""Where passwords are looked at: one at a time, and not many in the queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar, cast

from fastapi import Request

from session_service.errors import TooManyRequestsError

T = TypeVar("T")

QUEUE: Final = 16  # two seconds of hashing: a longer queue is an attack, and would make everybody wait
BUSY_S: Final = 2


class Desk:
    """Takes tries to sign in one after the other, in this process.

    One at a time needs the memory of one hash and one core, and each try knows of all failures before it: a thousand
    at once are no way round the lock-out.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._there = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for one's turn and keep it for the block.

        Raises:
            TooManyRequestsError: the queue is full.
        """
        if self._there >= QUEUE:
            msg = f"Too many people sign in at this moment. Try again in {BUSY_S} s."
            raise TooManyRequestsError(msg, retry_after_s=BUSY_S, limit="sign-ins at once")
        self._there += 1
        try:
            async with self._turn:
                yield
        finally:
            self._there -= 1

    async def hashing(self, work: Callable[[], T]) -> T:
        """Run something slow beside the event loop; only within a turn."""
        return await asyncio.to_thread(work)


async def desk(request: Request) -> Desk:
    """Return the running service's desk, as a dependency."""
    return cast("Desk", request.app.state.desk)
