"""An agent that is killed (-9) anywhere between an order and its report: nothing moves again, and the report is true.

The points are found in the code by a run that is recorded (``tests.support.killing``). What a killed program leaves is
what stands on the disk and on the pins; between two changes of these it does not matter where it died. So the usual run
takes the first and the last point before each change; ``UNLATCH_EVERY_POINT=1`` takes every line of the agent that was
passed, with every driver, as `make soak` does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Final

import msgspec
import pytest

from broker.contract.codes import Reason, Result
from device_agent.drivers.wiring import PULSE_LIMIT_MS
from tests.support.kept_chip import Edge, Facts
from tests.support.killing import SCENARIOS, Fate, Outcome, Work
from tests.support.points import Point

WORKERS: Final = 4  # each waits for its lock to cool for most of the time
PATIENCE_S: Final = 1_800.0
LEAST_WORLDS: Final = 4  # nothing yet; the intent written; the coil on; off again
OFF_WITHIN_MS: Final = 1_000  # after the death
EVERY_POINT: Final = bool(os.environ.get("UNLATCH_EVERY_POINT"))
AGAIN: Final = 3  # a machine may stall for a second; an output that is late each time is ours
NEVER_CAME_PERCENT: Final = 40  # how often the loop of the pins goes round is a matter of luck, and points are few


def fates(folder: Path, scenario: str, points: list[Point | None]) -> Iterator[Fate]:
    """Let agents run to their points, several at a time."""
    with ExitStack() as stack:
        workers = []
        for number in range(min(WORKERS, len(points))):  # none for no points
            command = [sys.executable, "-m", "tests.support.killing", str(folder / str(number))]
            worker = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            stack.callback(worker.kill)
            assert worker.stdin is not None
            worker.stdin.write(msgspec.json.encode(Work(scenario, points[number::WORKERS])))
            worker.stdin.close()
            workers.append(worker)
        for worker in workers:
            assert worker.stdout is not None
            yield from (msgspec.json.decode(line, type=Fate) for line in worker.stdout)
            assert worker.wait(PATIENCE_S) == 0


def edges_on(facts: Facts) -> list[Edge]:
    return [edge for edge in facts.edges if edge.on]


def pulses(facts: Facts) -> Iterator[tuple[int, int]]:
    """Yield when an output went on and off; the chip says both or the output is on still."""
    for _, edges in groupby(sorted(facts.edges, key=lambda edge: edge.output), key=lambda edge: edge.output):
        times = list(edges)
        assert [edge.on for edge in times] == [True, False] * (len(times) // 2), "an output is on still"
        yield from ((on.at_ms, off.at_ms) for on, off in zip(times[::2], times[1::2], strict=True))


def is_open(sensors: dict[str, bool]) -> bool:
    """Whether the lock stands open, as its own switch says."""
    return sensors["open_end"] if "open_end" in sensors else not sensors.get("bolt", sensors.get("door"))


def is_true(outcome: Outcome, moved_anything: bool, opened: bool) -> bool:  # noqa: FBT001
    """Whether the report says what the chip saw."""
    if outcome.result is Result.DONE:
        return opened and outcome.bolt == "open"
    # A coil that was on while the bolt stayed where it was has moved nothing, as the sensor can prove.
    if outcome.bolt == "unknown" and not outcome.moved:
        return False
    return not opened and outcome.bolt != "open" and (outcome.reason is not Reason.JAMMED or moved_anything)


def is_late(fate: Fate) -> bool:
    """Whether an output was on for longer than it may be, or after the death."""
    at_death, released, _ = fate.facts
    last_ms = at_death.let_go_ms[0] + OFF_WITHIN_MS
    return any(off_ms - on_ms > PULSE_LIMIT_MS or off_ms > last_ms for on_ms, off_ms in pulses(released))


def check(fate: Fate) -> None:
    """Raise for what must not be, whenever the agent died."""
    at_death, released, finally_ = fate.facts
    died_ms = at_death.let_go_ms[0]
    driven = bool(edges_on(at_death))
    assert finally_.let_go_ms[:1] == (died_ms,)
    if driven:
        assert edges_on(finally_) == edges_on(at_death), "it moved again"
    assert len(list(pulses(released))) * 2 == len(released.edges)
    assert len(fate.after) == 1, "one command has one outcome"
    assert is_true(fate.after[0], bool(edges_on(finally_)), is_open(finally_.sensors))
    assert fate.told in {None, fate.after[0]}, "the outcome changed after it was told"
    assert fate.seqs == list(range(1, len(fate.seqs) + 1)), "a report is missing"


@pytest.mark.server
@pytest.mark.parametrize("scenario", SCENARIOS if EVERY_POINT else ["second try"])
def test_killed_anywhere_it_moves_nothing_twice_leaves_nothing_on_and_tells_the_truth(
    tmp_path: Path, scenario: str
) -> None:
    [recorded] = fates(tmp_path / "recorded", scenario, [None])
    worlds = [
        [passed.point for passed in group] for _, group in groupby(recorded.recorded, lambda passed: passed.world)
    ]
    assert len(worlds) >= LEAST_WORLDS
    points = [point for world in worlds for point in (world if EVERY_POINT else {world[0], world[-1]})]
    seen = list(fates(tmp_path / "killed", scenario, [*points]))
    wrong = []
    for fate in seen:
        try:
            check(fate)
        except AssertionError as error:
            wrong.append(f"{fate.point}: {error} {fate}")
    assert not wrong, f"{len(wrong)} of {len(seen)} points: " + "\n".join(wrong[:5])
    assert len(seen) == len(points)
    late = [fate for fate in seen if is_late(fate)]
    for again in range(AGAIN):
        late = [fate for fate in fates(tmp_path / f"again{again}", scenario, [x.point for x in late]) if is_late(fate)]
    assert not late, f"outputs were left on: {late}"
    never = [fate.point for fate in seen if not fate.killed]
    assert len(never) * 100 <= len(points) * NEVER_CAME_PERCENT, never
    assert {bool(fate.facts[0].edges) for fate in seen} == {False, True}, "all died on one side of the drive"
