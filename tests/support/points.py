"""The points of ``device_agent`` that a run passes between an order and its report, found by tracing it."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

import msgspec

import device_agent

CODE: Final = str(Path(device_agent.__file__).parent)
HITS: Final = 2  # a command makes two transactions; what a line does a third time is a loop's


class Point(msgspec.Struct, frozen=True, order=True):
    """Right before a line of ``device_agent``, or before a return, for the ``hit``th time after the order came."""

    file: str
    line: int
    event: str
    hit: int


class Passed(msgspec.Struct, frozen=True):
    """A point of a run that was recorded. Who is killed there leaves ``world``: files, and levels of lines."""

    point: Point
    world: str


class Tracer:
    """Counts where the agent passes between order and report; kills it at a point, or records how the world is."""

    def __init__(self, point: Point | None = None, look: Callable[[], str] | None = None) -> None:
        self._point = point
        self._look = look
        self._mutex = threading.Lock()
        self._hits: Counter[tuple[str, int, str]] = Counter()
        self.armed = False
        self.passed: list[Passed] = []

    def trace(self, frame: FrameType, _event: str, _value: object) -> Callable[..., Any] | None:
        """See ``sys.settrace``."""
        return self._step if frame.f_code.co_filename.startswith(CODE) else None

    def _step(self, frame: FrameType, event: str, _value: object) -> Callable[..., Any]:
        if self.armed and event in {"line", "return"}:
            place = (os.path.relpath(frame.f_code.co_filename, CODE), frame.f_lineno, event)
            with self._mutex:
                self._hits[place] += 1
                point = Point(*place, self._hits[place])
                if point == self._point:
                    os.kill(os.getpid(), signal.SIGKILL)
                if self._look is not None and point.hit <= HITS:
                    self.passed.append(Passed(point, self._look()))
        return self._step
