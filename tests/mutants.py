"""Removes each guard by itself in a copy of the source, and sees that a test fails for it: what the tests are worth.

    make mutants                                    # all of them
    python -m tests.mutants                         # the same
    python -m tests.mutants webhook "label: mac"    # those with one of these words in their name
    python -m tests.mutants --list                  # the guards and the tests that notice, and nothing is run

The tests that are named must pass in an untouched copy first. A guard counts as noticed if a test fails without it; a
module that cannot be imported, a fixture that breaks and a name that is missing do not count. The exit status is 1 if a
removal is not noticed, or if a guard is no longer where the list says; then the code has changed, and the list in
``tests/guards`` has to. A guard behind which another one stands is in the list twice if nothing is wrong without it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tests.guards import (
    of_accounts,
    of_agents,
    of_labels,
    of_operators,
    of_pages,
    of_riders,
    of_the_broker,
    of_the_service,
)
from tests.guards.guard import Guard
from tests.support.planting import ROOT, Run, copy_source, plant, run_tests

GUARDS: Final = (
    *of_labels.GUARDS,
    *of_agents.GUARDS,
    *of_the_service.GUARDS,
    *of_the_broker.GUARDS,
    *of_operators.GUARDS,
    *of_riders.GUARDS,
    *of_pages.GUARDS,
    *of_accounts.GUARDS,
)
AT_ONCE: Final = 2  # most machines have two cores, and some tests run a broker and a database of their own
NICENESS: Final = 10
ERROR_CHARS: Final = 100


@dataclass(frozen=True)
class Outcome:
    """What became of a removal: ``noticed_by`` names the first test that failed, ``words`` how, or what is wrong."""

    guard: Guard
    noticed_by: str
    words: str
    seconds: float


def removed(guard: Guard, source: Path) -> Outcome:
    """Remove a guard in a copy of ``source`` and run its tests there."""
    began_s = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="unlatch-mutant-") as name:
        folder = Path(name)
        copy_source(source, folder)
        if not all(plant(change, folder) for change in guard.changes):
            return Outcome(guard, "", "it is no longer where the list says", time.perf_counter() - began_s)
        ran = run_tests(folder, paths(guard), "-x", environment={"PYTHONDONTWRITEBYTECODE": "1"})
    seconds = time.perf_counter() - began_s
    if ran.failed is not None:
        test, error = ran.failed
        return Outcome(guard, test.removeprefix("tests/"), error[:ERROR_CHARS], seconds)
    if ran.status == 0:
        return Outcome(guard, "", "no test fails without it", seconds)
    return Outcome(guard, "", f"no test could run (pytest says {ran.status}): {ran.error}"[:200], seconds)


def untouched(tests: Sequence[str], source: Path, at_once: int) -> list[Run]:
    """Run tests without any change, those of one file together, which share what they set up."""
    files = sorted({test.partition("::")[0] for test in tests})
    parts = [
        [test for test in tests if files.index(test.partition("::")[0]) % at_once == part] for part in range(at_once)
    ]
    with ThreadPoolExecutor(at_once) as pool:
        return list(pool.map(partial(run_tests, source), filter(None, parts)))


def paths(guard: Guard) -> list[str]:
    """Return the names of a guard's tests from the source's root."""
    return [f"tests/{test}" for test in guard.tests]


def outcomes(guards: Sequence[Guard], source: Path, at_once: int) -> Iterator[Outcome]:
    """Remove the guards, some at once; yield what comes of each as it comes."""
    with ThreadPoolExecutor(at_once) as pool:
        for done in as_completed([pool.submit(removed, guard, source) for guard in guards]):
            yield done.result()


def table(found: Sequence[Outcome]) -> str:
    """Return the guards and the tests that noticed, in the order of the list."""
    wide = max(len(outcome.guard.name) for outcome in found)
    return "\n".join(f"{one.guard.name:{wide}}  {one.noticed_by or f'NOT NOTICED: {one.words}'}" for one in found)


def chosen(words: Sequence[str]) -> list[Guard]:
    """Return the guards with one of these words in their name; all, if there are no words."""
    return [guard for guard in GUARDS if not words or any(word in guard.name for word in words)]


def tried(guards: Sequence[Guard], at_once: int) -> int:
    """Try the guards and say how it goes; return the exit status."""
    began_s = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="unlatch-whole-") as name:
        source = Path(name)
        copy_source(ROOT, source)
        tests = sorted({path for guard in guards for path in paths(guard)})
        say(f"{len(guards)} guards; first their {len(tests)} tests without any change")
        if wrong := [run.said for run in untouched(tests, source, at_once) if run.status != 0]:
            say(*wrong, "These tests must pass before anything is removed.")
            return 1
        found = []
        for outcome in outcomes(guards, source, at_once):
            found.append(outcome)
            how = f"{outcome.noticed_by}: {outcome.words}" if outcome.noticed_by else f"NOT NOTICED: {outcome.words}"
            say(f"{len(found):3}/{len(guards)} {outcome.seconds:5.1f} s  {outcome.guard.name}: {how}")
    found.sort(key=lambda outcome: guards.index(outcome.guard))
    unnoticed = [outcome for outcome in found if not outcome.noticed_by]
    minutes = (time.perf_counter() - began_s) / 60
    say("", table(found), "")
    say(f"{len(found)} guards removed one by one, {len(found) - len(unnoticed)} noticed, in {minutes:.1f} minutes")
    return 1 if unnoticed else 0


def say(*lines: str) -> None:
    """Print lines at once."""
    print(*lines, sep="\n", flush=True)  # noqa: T201 - a program of its own


def main() -> int:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants",
        description="Remove each guard by itself in a copy of the source, and see that a test fails for it.",
        epilog='example: python -m tests.mutants webhook "label: mac"',
    )
    parser.add_argument("words", nargs="*", help="only guards with one of these words in their name")
    parser.add_argument("--list", action="store_true", help="list guards and tests; run nothing")
    parser.add_argument("--jobs", type=int, default=AT_ONCE, help=f"how many at once, {AT_ONCE} unless told")
    wish = parser.parse_args()
    guards = chosen(wish.words)
    if not guards:
        parser.error("no guard has such a word in its name; see them all: python -m tests.mutants --list")
    if wish.list:
        say(
            *(
                f"{guard.name}\n    {guard.file}\n" + "\n".join(f"    {test}" for test in guard.tests)
                for guard in guards
            )
        )
        return 0
    os.nice(NICENESS)
    return tried(guards, max(1, wish.jobs))


if __name__ == "__main__":
    sys.exit(main())
