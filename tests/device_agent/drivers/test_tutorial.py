"""The driver that docs/drivers.md tells of, as it stands there: it is found by its entry point, and keeps the rules."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3]
TEXT: Final = (ROOT / "docs" / "drivers.md").read_text(encoding="utf-8")
PATIENCE_S: Final = 60.0
LOAD: Final = """
import sys
from pathlib import Path
from device_agent.clock import SystemClock
from device_agent.drivers.loading import Wanted, load
from device_agent.errors import WiringError
def wanted(**options):
    return Wanted(clock=SystemClock(), kind="pod", options=options, state_dir=Path())
print(type(load("board", wanted(port=sys.argv[1]))).__name__)
try:
    load("board", wanted(prot=sys.argv[1]))
except WiringError as error:
    print(error)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """What the page shows, installed."""
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        (tmp_path / block[3 : block.index(":")]).write_text(block)
    [table] = re.findall(r"```toml\n(\[project\.entry-points.*?)```", TEXT, re.DOTALL)
    [(group, names)] = tomllib.loads(table)["project"]["entry-points"].items()
    info = tmp_path / "board_lock-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: board-lock\nVersion: 1.0\n")
    lines = "\n".join(f"{name} = {where}" for name, where in names.items())
    (info / "entry_points.txt").write_text(f"[{group}]\n{lines}\n")
    return tmp_path


def run(package: Path, *words: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(package), str(ROOT)])
    return subprocess.run(
        [sys.executable, *words],
        cwd=package,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_it_comes_through_the_conformance_test_as_the_page_says(package: Path) -> None:
    answer = run(package, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider", "test_board_lock.py")
    assert answer.returncode == 0, answer.stdout
    assert re.search(r"^1\d passed", answer.stdout, re.MULTILINE), answer.stdout


def test_a_fault_that_is_put_into_it_is_found(package: Path) -> None:
    text = (package / "board_lock.py").read_text()
    hopeful = text.replace(
        "self._tell(DriveEnded(command_id=command_id, status=status",
        "self._tell(DriveEnded(command_id=command_id, status=Status(bolt=target)",
    )
    assert hopeful != text
    (package / "board_lock.py").write_text(hopeful)
    answer = run(
        package, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider", "test_board_lock.py", "-k", "follow"
    )
    assert "1 failed" in answer.stdout
    assert "test_a_bolt_that_does_not_follow_is_told_as_it_is_and_in_time" in answer.stdout
    assert answer.returncode == 1


def test_it_is_found_by_its_name_and_its_options_are_read_as_ours(package: Path) -> None:
    (package / "tty").write_bytes(b"?c")  # what is written is read: the letter, then its answer
    answer = run(package, "-c", LOAD, str(package / "tty"))
    name, refusal = answer.stdout.splitlines()
    assert name == "BoardLock", answer
    assert refusal.startswith("lock.options.prot: Object contains unknown field `prot`; there are port"), answer
