"""What devices are installed from: pinned as everything else is, and refused where it cannot work."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement

from device_agent.settings import EXAMPLE, load

ROOT: Final = Path(__file__).parents[2]
DEVICE: Final = ROOT / "deploy/device"
BLOCK: Final = re.compile(r"^([a-z0-9-]+)==(\S+)[^\n]*\n((?:    --hash=\S+[ \\\n]*)+)", re.MULTILINE)

pytestmark = pytest.mark.server  # programs as processes


def pinned(file: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Return versions and hashes by name."""
    found = BLOCK.findall(file.read_text())
    return {name: (version, frozenset(re.findall(r"sha256:\w{64}", hashes))) for name, version, hashes in found}


def needed(names: set[str]) -> set[str]:
    """Return the packages with all that they need on a device."""
    found: set[str] = set()
    while names:
        name = names.pop()
        found.add(name)
        wishes = map(Requirement, distribution(name).requires or ())
        wanted = {wish.name for wish in wishes if wish.marker is None or wish.marker.evaluate({"extra": ""})}
        names |= wanted - found
    return found


def test_a_device_gets_what_the_tests_ran_with() -> None:
    ours, whole = pinned(DEVICE / "requirements.lock"), pinned(ROOT / "requirements.lock")
    assert ours == {name: whole[name] for name in ours}, "old: run `make lock`"
    device = tomllib.loads((DEVICE / "pyproject.toml").read_text())["project"]
    assert set(ours) == needed({Requirement(wish).name for wish in device["dependencies"]})
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = extras["optional-dependencies"]
    agent = {*extras["dependencies"], *optional["agent"], *optional["gpio"], *optional["pkcs11"]}
    assert set(device["dependencies"]) == agent


def test_what_builds_the_bundle_is_pinned_too() -> None:
    tools, whole = pinned(DEVICE / "tools.lock"), pinned(ROOT / "requirements.lock")
    assert {"pip", *needed({"hatchling"})} == set(tools)
    assert all(whole.get(name, facts) == facts for name, facts in tools.items()), "old: run `make lock`"


def install(tmp_path: Path, *words: str, **programs: str) -> subprocess.CompletedProcess[str]:
    """Run the installer with programs that say what another system's would; without a claim it never goes further."""
    for name, said in {"id": "0", **programs}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{said if said.startswith('exit') else f'echo {said}'}\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    return subprocess.run(
        [DEVICE / "install", *words], env={"PATH": path}, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    ("programs", "says"),
    [
        ({"dpkg": "armhf"}, r"32-bit system \(armhf\).*Write the 64-bit image"),
        ({"dpkg": "riscv64"}, "no wheels for riscv64; take arm64"),
        ({"dpkg": "exit 1"}, "no Debian"),
        ({"dpkg": "arm64", "python3": "3.9"}, "python3 is 3.9.*take Debian 12 or 13"),
        ({"dpkg": "arm64", "python3": "32-bit"}, "python3 is 32-bit"),
        ({"dpkg": "arm64", "python3": "3.11"}, "--service is missing.*--help"),
        ({"id": "1000"}, "needs root: sudo"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason_and_the_remedy(
    tmp_path: Path, programs: dict[str, str], says: str
) -> None:
    if Path("/etc/unlatch/device.toml").exists():
        pytest.skip("this machine is a device")
    done = install(tmp_path, **programs)
    assert done.returncode == 1
    assert re.search(says, done.stderr), done.stderr
    assert done.stdout == ""


def test_help_has_an_example_and_an_unknown_option_shows_it(tmp_path: Path) -> None:
    helped = install(tmp_path, "--help")
    assert (helped.returncode, "sudo ./install --service https://" in helped.stdout) == (0, True)
    wrong = install(tmp_path, "--claims")
    assert (wrong.returncode, "no option --claims" in wrong.stderr, helped.stdout in wrong.stderr) == (2, True, True)


@pytest.mark.parametrize("file", sorted((DEVICE / "wiring").iterdir()), ids=lambda file: file.name)
def test_examples_of_wirings_are_settings(file: Path, tmp_path: Path) -> None:
    before, _, _ = EXAMPLE.partition("[lock]")
    (tmp_path / "device.toml").write_text(before + file.read_text())
    assert load(tmp_path / "device.toml").values.lock.driver in file.stem.split("-")
