"""Lines of a chip that is not there, for an agent that is: ``gpiod`` is the real one but for ``request_lines``.

A coil draws the bolt after ``BOLT_MS``; a byte in the pipe ``HAND`` shuts it. The moment of each rising edge of the
coil goes into the pipe ``EDGES``, in nanoseconds of ``CLOCK_MONOTONIC``.
"""

from __future__ import annotations

import os
import select
import struct
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gpiod.line import Value

FOLDER: Final = "UNLATCH_BENCH_PIPES"  # the environment's name for where the pipes are
EDGES: Final = "edges"
HAND: Final = "hand"
MOMENT: Final = struct.Struct("=q")
COIL: Final = 17
BOLT: Final = 27
BOLT_MS: Final = 20  # a fast one, for many rides in a minute; what is measured is over before

MODULE: Final = f"""\
import sys
here = __file__.rpartition("/")[0]
sys.path.remove(here)
del sys.modules["gpiod"]
import gpiod
from {__name__} import Lines
gpiod.request_lines = Lines
"""
"""The text of a ``gpiod.py`` that stands before the real one in the agent's path."""


class Lines:
    """What ``gpiod.request_lines`` returns, with a solenoid lock on the lines."""

    def __init__(self, _chip: str, config: Mapping[int, Any], consumer: str) -> None:
        """Take the lines."""
        folder = Path(os.environ[FOLDER])
        self.consumer = consumer
        self.fd, self._edge = os.pipe()
        self._levels = dict.fromkeys(config, Value.INACTIVE) | {BOLT: Value.ACTIVE}
        self._edges = os.open(folder / EDGES, os.O_RDWR)
        self._hand = os.open(folder / HAND, os.O_RDWR)
        self._drawn, self._draw = os.pipe()
        threading.Thread(target=self._live, name="lock body", daemon=True).start()

    def set_value(self, line: int, value: Value) -> None:
        """Set a level; a coil that is switched on begins to draw."""
        rises = line == COIL and value is Value.ACTIVE and self._levels[line] is Value.INACTIVE
        self._levels[line] = value
        if rises:
            os.write(self._edges, MOMENT.pack(time.clock_gettime_ns(time.CLOCK_MONOTONIC)))
            os.write(self._draw, b"d")

    def get_value(self, line: int) -> Value:
        """Return a level."""
        return self._levels[line]

    def read_edge_events(self) -> None:
        """Take the edges that wait."""
        os.read(self.fd, 64)

    def release(self) -> None:
        """Let go; the body ends with the program."""

    def _live(self) -> None:
        while True:
            ready, _, _ = select.select([self._drawn, self._hand], [], [])
            for end in ready:
                os.read(end, 1)
            if self._drawn in ready:
                time.sleep(BOLT_MS / 1_000)
            self._levels[BOLT] = Value.INACTIVE if self._drawn in ready else Value.ACTIVE
            os.write(self._edge, b"e")
