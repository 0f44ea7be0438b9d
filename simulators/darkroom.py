"""Takes the riders' photographs in a process of its own, so that the camera does not slow the phones down."""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from types import TracebackType
from typing import Final, Self

import numpy as np

from simulators.camera import Difficulty, photograph

TRIES: Final = (Difficulty.STREET, Difficulty.STREET, Difficulty.EASY)
"""What a rider's photographs of one label are like: as it comes, once more, then with care."""

_NICENESS: Final = 5  # the system under trial goes first
_PR_SET_PDEATHSIG: Final = 1  # <linux/prctl.h>


class Darkroom:
    """Photographs by number: the same seed, number and try give the same picture. Use it as a context manager."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        context = multiprocessing.get_context("spawn")  # a fork would copy our threads' locks
        self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_prepare)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def order(self, text: str, number: int) -> AsyncIterator[bytes]:
        """Return the photographs of a label, harder ones first. The first is begun now, before anybody asks for it."""
        first = self._take(text, number, 0)

        async def photographs() -> AsyncIterator[bytes]:
            yield await first
            for attempt in range(1, len(TRIES)):
                yield await self._take(text, number, attempt)

        return photographs()

    def _take(self, text: str, number: int, attempt: int) -> asyncio.Future[bytes]:
        seed = (self._seed, number, attempt)
        return asyncio.wrap_future(self._pool.submit(_photograph, text, seed, TRIES[attempt]))


def _photograph(text: str, seed: tuple[int, ...], difficulty: Difficulty) -> bytes:
    return photograph(text, np.random.default_rng(seed), difficulty)


def _prepare() -> None:
    """Go on after Ctrl-C until we are told to end, and end with the process that started us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(_NICENESS)
