#!/usr/bin/env python3
"""Writes docs/access.md from the table of access: ``make docs``. A test says when it is old."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from session_service.access import MEANING, TABLE, Role

PAGE: Final = Path(__file__).with_name("access.md")

HEAD: Final = """\
# Who may do what

Written from `session_service/access.py` by `make docs`; do not edit. The service checks every request against that very
table, does not start with an operation that is not in it, and a test calls each operation as everybody
(`tests/session_service/test_access.py`).

Who sends no token, or one that is nobody's in this cell, is answered 401; who is known and may not, 403. Both say what
to do next.

| who | is |
| --- | --- |
"""

OPERATIONS: Final = """
An operator may do what stands at the own role and all that stands at a lower one: {}.

| operation | who |
| --- | --- |
"""


def page() -> str:
    """Return the whole page."""
    people = "".join(f"| {who} | {meaning} |\n" for who, meaning in MEANING.items())
    rows = "".join(f"| `{operation}` | {who} |\n" for operation, who in TABLE.items())
    return HEAD + people + OPERATIONS.format(" < ".join(Role)) + rows


if __name__ == "__main__":
    PAGE.write_text(page())
