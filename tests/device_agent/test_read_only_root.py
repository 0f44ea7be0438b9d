"""A root that nothing can be written to, and a folder for data: the agent writes there and nowhere else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from broker.contract.codes import Action, Result
from tests.support.agent_program import Program
from tests.support.agent_service import HeardService

GIVEN = 2  # standard error is the last

pytestmark = pytest.mark.server

# The data folder keeps a mount of its own; everything else, the settings and keys too, is mounted read-only.
CONFINE = """
mount --bind "$1" "$1" && mount --bind "$0" "$0" || exit 1
mount --bind "$1" "$1" && mount -o remount,bind,ro "$0" && mount -o remount,bind,ro / || exit 1
shift && exec "$@"
"""


def confined(directory: Path, data: Path) -> tuple[str, ...]:
    """Return what starts a program that can write to the data folder alone; skip the test where that cannot be."""
    unshare = shutil.which("unshare", path="/usr/bin:/bin")
    if os.getuid() != 0 or unshare is None:
        pytest.skip("only root can mount a root read-only, with unshare")
    data.mkdir(mode=0o700)
    begin = (unshare, "--mount", "--propagation", "private", "sh", "-c", CONFINE, str(directory), str(data))
    if subprocess.run([*begin, "touch", f"{data}/probe"], check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    (data / "probe").unlink()
    for place in (directory, Path("/usr"), Path.home()):
        assert subprocess.run([*begin, "touch", f"{place}/probe"], check=False, capture_output=True).returncode == 1
    return begin


def opened_for_writing(pid: int) -> set[str]:
    """Return the files that a process has opened for writing; the first three it was given."""
    files = set()
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        flags = int(info.read_text().split("flags:")[1].split()[0], 8)
        target = str((info.parents[1] / "fd" / info.name).readlink())
        if int(info.name) > GIVEN and flags & os.O_ACCMODE != os.O_RDONLY and target.startswith("/"):
            files.add(target)
    return files


def test_a_ride_on_a_read_only_root_writes_to_the_data_folder_alone(program: Program, service: HeardService) -> None:
    data = program.directory / "state"
    program.confined = confined(program.directory, data)
    settings = {file: file.read_bytes() for file in program.directory.iterdir() if file.is_file()}
    program.start()
    for number, action in enumerate((Action.UNLOCK, Action.LOCK, Action.UNLOCK), 1):
        service.send(service.command(f"command-{number:06d}", action))
        assert service.outcome(f"command-{number:06d}").result is Result.DONE
        service.ack()
    assert program.process is not None
    written = opened_for_writing(program.process.pid)
    assert {Path(file).parent for file in written} == {data}
    assert program.end() == 0
    assert len(program.movements()) == 3
    assert {file: file.read_bytes() for file in program.directory.iterdir() if file.is_file()} == settings
    assert program.ask("journal").returncode == 0
