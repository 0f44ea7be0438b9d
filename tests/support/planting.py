"""Faults that are planted in a copy of the source, and tests that run there: whether tests can fail, tried out."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
COPIED: Final = ("broker", "device_agent", "session_service", "simulators", "tests", "docs", "pyproject.toml")
NOT_COPIED: Final = ("node_modules",)  # forty times the rest; what pages load of it is in vendor/
PATIENCE_S: Final = 600
"""For a run of pytest: longer than any of ours takes on a slow machine."""

PLUGINS: Final = ("pytest_asyncio.plugin", "pytest_socket")
"""The plugins that tests need. All that are installed together take as long to load as the service."""

TESTS_FAILED: Final = 1  # pytest's exit status; a module that cannot be imported or an unknown test has another one
NOT_A_TEST: Final = ("ImportError", "ModuleNotFoundError", "SyntaxError", "IndentationError", "NameError")
"""Errors by which a fault shows that it is badly planted, and not that a test notices it."""

_FAILED: Final = re.compile(r"^FAILED (tests/\S+?\.py::.+?)(?: - (.*))?$", re.MULTILINE)
_ERROR_LINE: Final = re.compile(r"^E  +(\S.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Change:
    """A wrong ``new`` in the place of ``old``, which stands once in ``file``."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Run:
    """What came of a run of pytest: its exit status, all that it said, and the first test that failed, if one did."""

    status: int
    said: str

    @property
    def failed(self) -> tuple[str, str] | None:
        """The first test that failed, and with what; ``None`` if all passed, or it was something else than a test."""
        found = _FAILED.search(self.said)
        if self.status != TESTS_FAILED or found is None:
            return None
        error = found[2] or self.error
        return None if error.startswith(NOT_A_TEST) else (found[1], error)

    @property
    def error(self) -> str:
        """The line that says best what was wrong, or an empty text."""
        lines: list[str] = _ERROR_LINE.findall(self.said)
        return next((line for line in lines if "rror" in line or "assert" in line), (lines or [""])[0])


def copy_source(source: Path, folder: Path) -> None:
    """Copy the source from ``source`` (``ROOT``, or a copy of it) to ``folder``, with what Python compiled of it."""
    for name in COPIED:
        if (source / name).is_dir():
            shutil.copytree(source / name, folder / name, ignore=shutil.ignore_patterns(*NOT_COPIED))
        else:
            shutil.copy2(source / name, folder)


def plant(change: Change, folder: Path) -> bool:
    """Make a change in the copy in ``folder``; return whether its place was found there, once."""
    path = folder / change.file
    text = path.read_text() if path.exists() else ""
    if text.count(change.old) != 1:
        return False
    path.write_text(text.replace(change.old, change.new))
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        compiled.unlink()  # Python tells a changed file by the second and the size, which may both be the same
    return True


def run_tests(folder: Path, tests: Sequence[str], *options: str, environment: Mapping[str, str] | None = None) -> Run:
    """Run tests in a copy, the programs that they start too; those who wait longer than ``PATIENCE_S`` are ended."""
    # A wide terminal, so that pytest names tests and errors in full.
    fixed = {"PYTHONPATH": str(folder), "COLUMNS": "400", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    values = os.environ | fixed | dict(environment or {})
    plugins = (word for plugin in ("no:cacheprovider", *PLUGINS) for word in ("-p", plugin))
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", *plugins, *options, *tests]
    try:
        ran = subprocess.run(
            command, cwd=folder, env=values, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Run(-1, f"it took longer than {PATIENCE_S} s")
    return Run(ran.returncode, ran.stdout + ran.stderr)
