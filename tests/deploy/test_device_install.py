"""A device is installed in a fresh Debian, rides, is installed again, and taken away; under a real systemd, too.

Roots and wheels are fetched, so all of this is for the soak.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from simulators.house import House, Plan
from tests.support import booted_root, device_root
from tests.support.booted_root import Booted
from tests.support.device_root import CONFIG, INSTALLER, Registered, Root, differing, running, until
from tests.support.quick_house import QuickHouse

WHY_NOT: Final = device_root.why_not()
UNIT: Final = "unlatch-agent"
LINK: Final = "/etc/systemd/system/multi-user.target.wants/unlatch-agent.service"

pytestmark = [pytest.mark.server, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return device_root.make_bundle(tmp_path_factory.mktemp("bundle") / "unlatch-device.tar")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with QuickHouse(Plan(directory=tmp_path / "house")) as built:
        yield built


@pytest.fixture
def root(tmp_path: Path, bundle: Path, request: pytest.FixtureRequest) -> Iterator[Root]:
    made = Root.fresh(tmp_path / "root", getattr(request, "param", "bookworm"))
    made.unpack(bundle)
    yield made
    shutil.rmtree(made.folder)


@pytest.mark.parametrize("root", ["bookworm", "trixie"], indirect=True)
async def test_one_command_makes_a_device_that_rides_and_nothing_is_left_of_it_in_the_end(
    root: Root, house: House, tmp_path: Path
) -> None:
    device, before = Registered(house), root.state()
    done = root.run(*device.words())
    assert done.returncode == 0, done
    assert "takes our certificate" in done.stdout
    assert "starts with the next boot" in done.stdout
    installed = root.state()
    assert differing(installed, root.state()) == set()
    for path, mode in {CONFIG: 0o600, "/etc/unlatch": 0o700, "/etc/unlatch/report-key.pem": 0o600}.items():
        assert root.run("stat", "-c", "%U %G %a", path).stdout.split() == ["unlatch", "unlatch", f"{mode:o}"]
    assert root.run("test", "-L", LINK).returncode == 0
    if root.run("udevadm", "verify", "--help").returncode == 0:  # of Debian 13's systemd
        verified = root.run("udevadm", "verify", "/etc/udev/rules.d/99-unlatch.rules")
        assert verified.returncode == 0, verified
    assert root.run("id", "-nG", "unlatch").stdout.split() == ["unlatch"]

    again = root.run(*device.words())
    assert (again.returncode, differing(installed, root.state())) == (0, set()), again
    with running(root, tmp_path / "agent.log"):
        device.wait_online()
        assert len((await device.ride())["evidence"]) == 2
        until(lambda: device_root.waiting_reports(root) == 0)
    gone = root.run(INSTALLER, "--remove")
    assert gone.returncode == 0, gone
    assert differing(before, root.state(), times=False) == set()


def test_what_went_wrong_is_told_with_the_next_step_and_the_same_line_goes_on(root: Root, house: House) -> None:
    device = Registered(house)
    service, claim = device.words()[2], device.words()[6]
    for right, wrong, says in (
        (claim, "WRONG-CODE", "run the same line again"),
        (service, "http://127.0.0.1:9", "check the address"),
        ("memory-pod.toml", "none.toml", "examples are in /root/unlatch-device/wiring"),
    ):
        done = root.run(*(word.replace(right, wrong) for word in device.words()))
        assert (done.returncode, says in done.stderr) == (1, True), done
    wheel = next((root.folder / "root/unlatch-device/wheels").glob("paho*"))
    whole = wheel.read_bytes()
    wheel.write_bytes(whole[:-1])
    damaged = root.run(*device.words())
    assert (damaged.returncode, "the bundle is damaged" in damaged.stderr) == (1, True), damaged
    wheel.write_bytes(whole)

    wired = device.words("bike-solenoid")
    without_pins = root.run(*wired)
    assert (without_pins.returncode, f"the wiring is in {CONFIG}" in without_pins.stderr) == (1, True), without_pins
    config = root.folder / CONFIG[1:]
    assert root.run("test", "-L", LINK).returncode == 1  # what has not passed does not start
    config.write_text(f"{config.read_text().partition('[lock]')[0]}[lock]\nkind = 'pod'\n")
    unseen = root.run(INSTALLER, "--watch", said="y\n\nn\n\ny\n\ny\n")
    assert (unseen.returncode, "FAIL  opens" in unseen.stdout) == (1, True), unseen
    seen = root.run(INSTALLER, "--watch", said="y\n\ny\n\ny\n\ny\n")
    assert (seen.returncode, "ok    opens" in seen.stdout) == (0, True), seen
    assert root.run("test", "-L", LINK).returncode == 0


def test_a_power_cut_at_any_moment_leaves_what_the_same_line_completes(root: Root, house: House) -> None:
    device, cuts = Registered(house), 0
    for after_s in (0.02 * 1.5**number for number in range(16)):  # up to nine seconds; an installation takes three
        with subprocess.Popen(
            root.command(*device.words()), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as installer:
            try:
                installer.wait(after_s)
            except subprocess.TimeoutExpired:
                os.killpg(installer.pid, signal.SIGKILL)
                cuts += 1
        if root.run("test", "-L", LINK).returncode == 0:
            break
    assert cuts > 5
    last = root.run(*device.words())
    assert last.returncode == 0, last
    assert not [path for path in root.state() if path.endswith(".new")]
    assert len(list((root.folder / "opt/unlatch/releases").iterdir())) == 1
    assert root.run("setpriv", "--reuid=unlatch", "--clear-groups", "unlatch-agent", "selftest").returncode == 0


def test_a_device_that_owes_reports_is_not_taken_away(root: Root, house: House) -> None:
    device = Registered(house)
    assert root.run(*device.words()).returncode == 0
    with closing(sqlite3.connect(root.folder / "var/lib/unlatch-agent/journal.sqlite")) as journal, journal:
        journal.execute("UPDATE meta SET next_seq = 4")
    kept = root.state()
    refused = root.run(INSTALLER, "--remove")
    assert (refused.returncode, "3 reports have not reached the service" in refused.stderr) == (1, True), refused
    looked_at = {"var/lib/unlatch-agent/journal.sqlite-wal", "var/lib/unlatch-agent/journal.sqlite-shm"}
    assert differing(kept, root.state()) <= looked_at
    assert root.run(INSTALLER, "--remove", "--reports-too").returncode == 0


def test_a_newer_bundle_takes_the_place_of_the_agent_unless_its_self_test_fails(root: Root, house: House) -> None:
    device = Registered(house)
    assert root.run(*device.words()).returncode == 0
    old = root.run("readlink", "/opt/unlatch/bin").stdout
    lock = root.folder / "root/unlatch-device/requirements.lock"
    lock.write_text(f"{lock.read_text()}# a later one\n")
    (root.folder / "root/unlatch-device/SHA256SUMS").unlink()
    authority = root.folder / "etc/unlatch/ca.pem"
    authority.rename(authority.with_suffix(".away"))
    failed = root.run(INSTALLER)
    assert (failed.returncode, root.run("readlink", "/opt/unlatch/bin").stdout) == (1, old), failed
    authority.with_suffix(".away").rename(authority)
    newer = root.run(INSTALLER)
    assert newer.returncode == 0, newer
    assert root.run("readlink", "/opt/unlatch/bin").stdout != old
    assert len(list((root.folder / "opt/unlatch/releases").iterdir())) == 1


@pytest.mark.skipif(bool(booted_root.why_not()), reason=booted_root.why_not())
async def test_the_unit_works_under_a_real_systemd(root: Root, house: House, tmp_path: Path) -> None:
    hurry = root.folder / f"etc/systemd/system/{UNIT}.service.d/hurry.conf"
    hurry.parent.mkdir(parents=True)
    hurry.write_text("[Service]\nWatchdogSec=2\nRestartSec=100ms\n")
    device = Registered(house)
    with Booted(root, tmp_path / "boot.log") as system:
        done = system.run(*device.words())
        assert done.returncode == 0, (done, system.words_of(UNIT))
        device.wait_online()
        assert len((await device.ride())["evidence"]) == 2

        agent = system.show(UNIT, "MainPID")
        status = dict(
            line.split(":\t", 1)
            for line in system.run("cat", f"/proc/{agent}/status").stdout.splitlines()
            if ":\t" in line
        )
        assert (status["NoNewPrivs"], int(status["CapEff"], 16), status["Seccomp"]) == ("1", 0, "2")
        assert system.run(*device.words()).returncode == 0
        assert system.show(UNIT, "MainPID") == agent  # nothing had changed, so it was left in peace

        for number, deed in enumerate(("-KILL", "-STOP"), start=1):  # a crash, and a loop that hangs
            agent = system.show(UNIT, "MainPID")
            assert system.run("bash", "-c", f"kill {deed} {agent}").returncode == 0
            until(lambda number=number: system.show(UNIT, "NRestarts") == str(number))  # type: ignore[misc]
            until(lambda: system.show(UNIT, "ActiveState") == "active")
        said = system.words_of(UNIT)
        assert "Watchdog timeout" in said
        assert "Control process exited" not in said  # the outputs were switched off each time
        device.wait_online()
        until(lambda: device_root.waiting_reports(root) == 0)
        assert system.run(INSTALLER, "--remove").returncode == 0
        assert system.show(UNIT, "LoadState") == "not-found"
