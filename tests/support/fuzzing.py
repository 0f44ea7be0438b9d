"""How many inputs each area is tried with, and what is watched while they run.

Every input has a chance of its own, made from the seed, the area and its number, so that any one of them can be had
again: the failure says how. In areas that keep a state (devices, databases) the inputs before it may have a part in it;
there the same seed and number of inputs bring it back.
"""

from __future__ import annotations

import logging
import os
import random
import resource
import time
from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Final, Self

INPUTS: Final = int(os.environ.get("UNLATCH_FUZZ_INPUTS", "10000"))
"""Inputs over all areas."""

SEED: Final = os.environ.get("UNLATCH_FUZZ_SEED", "20261122")
ONLY: Final = os.environ.get("UNLATCH_FUZZ_ONLY")

MIB: Final = 1_048_576
LONGEST_S: Final = 5.0  # each takes far less than a tenth of a second; this machine may be shared
WARM_PART: Final = 10  # the first tenth of the inputs fills caches and loads modules; growth is counted after it


class Area(StrEnum):
    """What is fuzzed."""

    ENVELOPE = "envelope"
    AGENT = "agent"
    GATEWAY = "gateway"
    LABELS = "labels"
    PKCS11 = "pkcs11"
    HEADERS = "headers"
    ENROLMENT = "enrolment"
    TOPICS = "topics"
    PHOTOGRAPHS = "photographs"


PER_MILLE: Final = {
    Area.ENVELOPE: 400,
    Area.LABELS: 250,
    Area.AGENT: 120,
    Area.GATEWAY: 100,
    Area.PKCS11: 70,
    Area.HEADERS: 20,
    Area.TOPICS: 20,
    Area.ENROLMENT: 10,  # a request each, over a socket
    Area.PHOTOGRAPHS: 10,  # one takes as long as ten messages
}
"""Of a thousand inputs: each area gets what takes it about as long as the others."""


def count_of(area: Area) -> int:
    """Return how many inputs an area gets."""
    return INPUTS * PER_MILLE[area] // sum(PER_MILLE.values())


class Fuzzing:
    """Gives out the chances of an area's inputs, and watches what they cost.

        with Fuzzing(Area.LABELS, growth_max_bytes=16 * MIB) as run:
            for chance in run:
                run.outcomes[try_one(chance)] += 1

    Leaving it fails if the process has grown by more than it may at any moment, or one input took too long.
    """

    def __init__(self, area: Area, *, growth_max_bytes: int) -> None:
        self.area = area
        self.outcomes: Counter[str] = Counter()
        self.number = -1
        self._growth_max_bytes = growth_max_bytes
        self._warm_bytes: int | None = None
        self._longest_s, self._longest = 0.0, -1

    def __enter__(self) -> Self:
        self._began_s = time.perf_counter()
        logging.disable(logging.WARNING)  # pytest would keep each word about each input
        return self

    def __iter__(self) -> Iterator[random.Random]:
        numbers = range(count_of(self.area)) if ONLY is None else [int(ONLY)]
        for self.number in numbers:
            if self.number == len(numbers) // WARM_PART:
                self._warm_bytes = _begin_peak()
            began_s = time.perf_counter()
            yield random.Random(f"{SEED}/{self.area}/{self.number}")  # noqa: S311 - the same inputs each time
            took_s = time.perf_counter() - began_s
            if took_s > self._longest_s:
                self._longest_s, self._longest = took_s, self.number

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logging.disable(logging.NOTSET)
        if error is not None:
            error.add_note(f"{self._named(self.number)}; or the whole run: UNLATCH_FUZZ_INPUTS={INPUTS}")
            return
        grown = 0 if self._warm_bytes is None else max(0, _peak_bytes() - self._warm_bytes)
        print(self._summary(grown))  # noqa: T201 - figures of a long run
        assert grown <= self._growth_max_bytes, f"{self.area} grew by {grown} bytes"
        assert self._longest_s <= LONGEST_S, f"{self._longest_s:.1f} s for {self._named(self._longest)}"

    def saw(self, *outcomes: str) -> None:
        """Fail if an outcome never came: then the inputs did not reach what they are for. Short runs may miss some."""
        if count_of(self.area) >= 200 and ONLY is None:
            missing = set(outcomes) - self.outcomes.keys()
            assert not missing, f"{self.area}: never {missing}; there was {dict(self.outcomes)}"

    def _named(self, number: int) -> str:
        return f"input {number} of {self.area}: UNLATCH_FUZZ_SEED={SEED} UNLATCH_FUZZ_ONLY={number}"

    def _summary(self, grown: int) -> str:
        took_s = time.perf_counter() - self._began_s
        came = ", ".join(f"{name} {count}" for name, count in self.outcomes.most_common())
        whole = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        return (
            f"{self.area}: {count_of(self.area)} inputs in {took_s:.0f} s, grew by {grown / MIB:.1f} MiB at most"
            f" (process: {whole} MiB), longest {self._longest_s * 1000:.0f} ms; {came}"
        )


def _begin_peak() -> int:
    """Forget the peak of this process's memory until now, and return what it has (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak_bytes()


def _peak_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    msg = "no VmHWM in /proc/self/status"
    raise OSError(msg)
