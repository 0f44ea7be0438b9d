"""Units as systemd itself reads them: without an error, and hardened."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
KINDS: Final = (".service", ".timer", ".target")
ALL: Final = sorted(path for path in DEPLOY.rglob("*") if path.suffix in KINDS)
UNITS: Final = [path for path in ALL if path.suffix == ".service"]
EXPOSED_AT_MOST: Final = 30  # of 100 in tenths: 3.0, what systemd-analyze calls OK

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="Debian's systemd has systemd-analyze"),
]


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("unit", ALL, ids=lambda unit: unit.name)
def test_systemd_understands_every_line(unit: Path, tmp_path: Path) -> None:
    # The programs that it starts are installed elsewhere; that they are missing here is no mistake of the unit's.
    for each in ALL:
        if each.parent == unit.parent:
            (tmp_path / each.name).write_text(re.sub(r"/opt/unlatch/\S+|/usr/sbin/\S+", "/bin/true", each.read_text()))
    found = analyze("verify", "--recursive-errors=no", "--man=no", str(tmp_path / unit.name))
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_it_may_do_little(unit: Path) -> None:
    found = analyze("security", "--offline=yes", f"--threshold={EXPOSED_AT_MOST}", "--no-pager", str(unit))
    assert found.returncode == 0, found.stdout
