"""In which order the files of tests are given to workers, so that none waits at the end while the others are done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

BROWSER: Final = "tests/browser/"
LONG: Final = (
    "tests/end_to_end/",
    "tests/hostile/",
    "tests/session_service/fleet/test_bad_messages.py",
    "tests/session_service/test_schemathesis.py",
)
"""They take half a minute to two minutes each, and wait most of it."""
LAST_PARTS: Final = 3  # without a browser, to even out what the workers have left


def spread(files: Sequence[str]) -> Iterator[str]:
    """Return the files anew: those with a browser, which fill a processor, among long ones that wait and short ones."""
    browser = [file for file in files if file.startswith(BROWSER)]
    long = [file for file in files if file.startswith(LONG)]
    short = [file for file in files if not file.startswith((BROWSER, *LONG))]
    parts = max(len(browser), len(long)) + LAST_PARTS
    for part in range(parts):
        yield from long[part : part + 1]
        yield from browser[part : part + 1]
        yield from short[part * len(short) // parts : (part + 1) * len(short) // parts]
