"""What docs/security.md promises is shown by tests that are there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "security.md"
NAMED: Final = re.compile(r"`([a-z_0-9/]+\.py)(?:::(test_[a-z_0-9]+))?`")


def named() -> list[tuple[str, str]]:
    """Return each (file below tests, test or nothing) that the page names."""
    found = {(file, test) for file, test in NAMED.findall(PAGE.read_text()) if not file.startswith("tests/")}
    return sorted(found)


@pytest.mark.parametrize(("file", "test"), named())
def test_what_it_names_is_there(file: str, test: str) -> None:
    path = ROOT / "tests" / file
    assert path.is_file(), f"docs/security.md names {file}; say where that went"
    assert f"def {test}(" in path.read_text() or not test, f"docs/security.md names {test}; say what shows it now"


def test_each_attempt_has_a_test() -> None:
    rows: list[str] = []
    in_table = False
    for line in PAGE.read_text().splitlines():
        in_table = line.startswith("|") and (in_table or line == "| attempt | what stops it | shown by |")
        rows += [line] if in_table and not line.startswith(("| attempt", "| ---")) else []
    assert rows
    for row in rows:
        shown_by = row.split("|")[3]
        assert NAMED.search(shown_by) or shown_by.strip() == "the same", row
