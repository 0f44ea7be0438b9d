"""A fresh Debian in a folder, the installer in it, and a ride of what it has installed against a house on this machine.

``python -m tests.support.device_root BUNDLE SUITE ARCH`` tells what happened, step by step (deploy/device/try-arm64).
A root that was made once is kept in ``~/.cache/unlatch``.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import httpx

from simulators.house import House, Plan
from simulators.processes import Child
from simulators.riders import Api, Rider, is_ended

ROOT: Final = Path(__file__).parents[2]
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "unlatch"
MIRROR: Final = "http://deb.debian.org/debian"
State: TypeAlias = "dict[str, tuple[object, ...]]"
INSTALLER: Final = "/root/unlatch-device/install"
CONFIG: Final = "/etc/unlatch/device.toml"
DEADLINE_S: Final = 60.0  # an emulated agent needs ten times as long as a real one
PLACE: Final = {"lat": 48.2, "lon": 16.37}
UNTOLD: Final = ("proc", "sys", "dev", "tmp", "run", "root", "var/cache", "var/log")
BACKUPS: Final = {"group-", "gshadow-", "passwd-", "shadow-", "subgid-", "subuid-"}  # which useradd keeps
"""Of a root: what is not the system's own, or what looking at it changes."""

# Its own mounts, which end with the command. A device has /proc (the boot's id) and /dev, and no more is shown to it.
_INSIDE: Final = """
mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"
"""
_ENVIRONMENT: Final = [
    "/usr/bin/env",
    "-i",
    "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "LANG=C.UTF-8",
]


def why_not() -> str:
    """Return what is missing to make and enter roots, or nothing."""
    if os.geteuid() != 0:
        return "a fresh Debian is made and entered by root"
    if shutil.which("debootstrap") is None:
        return "debootstrap is missing: apt-get install debootstrap"
    done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return "" if done.returncode == 0 else "mounts cannot be made here"


def make_bundle(file: Path, *words: str) -> Path:
    """Make the bundle of this checkout; ``words`` say for what it is, if not for all.

    Raises:
        subprocess.CalledProcessError: PyPI cannot be reached.
    """
    subprocess.run([ROOT / "deploy/device/bundle", *words, file], check=True)
    return file


@dataclass(frozen=True, slots=True)
class Root:
    """A Debian in a folder."""

    folder: Path

    @classmethod
    def fresh(cls, folder: Path, suite: str = "bookworm", arch: str = "") -> Root:
        """Unpack a bare Debian with Python into ``folder``; it is fetched from Debian the first time.

        Raises:
            subprocess.CalledProcessError: Debian cannot be reached, or its programs do not run here.
        """
        arch = arch or subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()
        kept = CACHE / f"{suite}-{arch}.tar"
        folder.mkdir(parents=True)
        if kept.exists():
            subprocess.run(["tar", "-C", folder, "-xf", kept], check=True)
            return cls(folder)
        words = [f"--arch={arch}", "--variant=minbase", "--include=ca-certificates,python3,systemd-sysv,udev"]
        subprocess.run(["debootstrap", *words, suite, folder, MIRROR], check=True, stdout=subprocess.DEVNULL)
        CACHE.mkdir(parents=True, exist_ok=True)
        made = kept.with_suffix(f".{os.getpid()}")
        subprocess.run(["tar", "-C", folder, "-cf", made, "."], check=True)
        made.replace(kept)
        return cls(folder)

    def command(self, *words: str) -> list[str]:
        """Return the command that runs ``words`` in it, as root."""
        way = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _INSIDE, str(self.folder)]
        return [*way, *_ENVIRONMENT, *words]

    def run(self, *words: str, said: str = "") -> subprocess.CompletedProcess[str]:
        """Run it to its end; ``said`` is what is typed."""
        return subprocess.run(self.command(*words), input=said, capture_output=True, text=True, check=False)

    def unpack(self, bundle: Path) -> None:
        """Put a bundle where somebody has copied it to."""
        subprocess.run(["tar", "-C", str(self.folder / "root"), "-xf", str(bundle)], check=True)

    def state(self) -> State:
        """Return every file with what there is to know of it: time of the last change, mode, owner and content."""
        return {path: _facts(self.folder / path) for path in self._paths()}

    def _paths(self) -> Iterator[str]:
        for folder, folders, names in os.walk(self.folder):
            inside = Path(folder).relative_to(self.folder)
            folders[:] = [name for name in folders if str(inside / name) not in UNTOLD]
            yield from (str(inside / name) for name in (*folders, *names) if name not in BACKUPS)


def _facts(file: Path) -> tuple[object, ...]:
    seen = file.lstat()
    if file.is_symlink():
        return 0, seen.st_uid, seen.st_gid, str(file.readlink())
    content = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
    return seen.st_mtime_ns if content else 0, seen.st_mode, seen.st_uid, seen.st_gid, content


class Registered:
    """A device that the service of a house knows, with its claim code and its label."""

    def __init__(self, house: House) -> None:
        self._client = httpx.Client(
            base_url=house.url, headers={"Authorization": f"Bearer {house.operator_token}"}, trust_env=False
        )
        self._house = house
        made = self._post("/v1/ops/devices", kind="pod", number=7, **PLACE)
        self.id: str = made["device_id"]
        self.claim: str = made["claim"]
        self.label: str = self._post(f"/v1/ops/devices/{self.id}/labels", reason="first label")["text"]

    def words(self, wiring: str = "memory-pod") -> tuple[str, ...]:
        """Return the line with which it is installed."""
        place = f"{Path(INSTALLER).parent}/wiring/{wiring}.toml"
        return INSTALLER, "--service", self._house.url, "--device", self.id, "--claim", self.claim, "--wiring", place

    def wait_online(self) -> None:
        """Wait until the service has heard of it."""
        until(lambda: bool(self._get(f"/v1/ops/devices/{self.id}")["presence"] == "online"))

    async def ride(self) -> dict[str, Any]:
        """Stay in it for a moment, as a new guest; return the receipt, with the ``unlock_s`` that Start took."""
        async with Api(self._house.url) as api:
            rider = await Rider.join(api)
            await rider.top_up(5_000)
            began = time.perf_counter()
            session = await rider.start(self.label)
            unlock_s = time.perf_counter() - began
            assert session["state"] == "active", session
            await rider.finish(session["id"])
            async with asyncio.timeout(DEADLINE_S):
                assert (await rider.follow(session, is_ended))["state"] == "closed"
            return {**await rider.receipt(session["id"]), "unlock_s": unlock_s}

    def _post(self, path: str, **body: object) -> dict[str, Any]:
        answer = self._client.post(path, json=body)
        answer.raise_for_status()
        content: dict[str, Any] = answer.json()
        return content

    def _get(self, path: str) -> dict[str, Any]:
        content: dict[str, Any] = self._client.get(path).raise_for_status().json()
        return content


def until(condition: Callable[[], bool]) -> None:
    """Wait for it, and not for ever."""
    deadline = time.perf_counter() + DEADLINE_S
    while not condition():
        assert time.perf_counter() < deadline, "does not happen"
        time.sleep(0.05)


@contextmanager
def running(root: Root, log: Path) -> Iterator[Child]:
    """Have the installed agent run, as its unit would have it."""
    rights = ("setpriv", "--reuid", "unlatch", "--regid", "unlatch", "--init-groups", "--no-new-privs")
    child = Child("agent", root.command(*rights, "/opt/unlatch/bin/unlatch-agent", "run"), log)
    child.start()
    try:
        yield child
    finally:
        child.stop()


def _tell(what: str, detail: object = "") -> None:
    print(f"{what:<28} {detail}", flush=True)  # noqa: T201 - this is the transcript


def _timed(what: str, root: Root, *words: str) -> subprocess.CompletedProcess[str]:
    began = time.perf_counter()
    done = root.run(*words)
    _tell(what, f"exit {done.returncode} after {time.perf_counter() - began:.1f} s")
    for line in (done.stdout + done.stderr).splitlines():
        _tell("", line)
    return done


def main(bundle: Path, suite: str, arch: str) -> None:
    """Install, ride, install again, take away; print the facts of each."""
    with tempfile.TemporaryDirectory(prefix="unlatch-root-") as place:
        began = time.perf_counter()
        root = Root.fresh(Path(place) / "root", suite, arch)
        _tell(f"Debian {suite}, {arch}", f"made or unpacked in {time.perf_counter() - began:.1f} s")
        for words in ("dpkg --print-architecture", "uname -m", "python3 -V", "cat /etc/debian_version"):
            _tell(words, root.run(*words.split()).stdout.strip())
        root.unpack(bundle)
        before = root.state()
        with House(Plan(directory=Path(place) / "house")) as house:
            _live(root, Registered(house), Path(place) / "agent.log")
        _timed("install --remove", root, INSTALLER, "--remove")
        _tell("left behind", sorted(differing(before, root.state(), times=False)) or "nothing")


def _live(root: Root, device: Registered, log: Path) -> None:
    assert _timed("install", root, *device.words()).returncode == 0
    with running(root, log):
        began = time.perf_counter()
        device.wait_online()
        _tell("online after", f"{time.perf_counter() - began:.1f} s")
        receipt = asyncio.run(device.ride())
        _tell("Start to open", f"{receipt['unlock_s']:.2f} s")
        _tell("receipt", f"{receipt['state']}, {receipt['fare_minor']} {receipt['currency']}")
        for evidence in receipt["evidence"]:
            _tell("evidence", evidence)
        until(lambda: waiting_reports(root) == 0)
    _timed("journal", root, "unlatch-agent", "journal")
    for line in log.read_text().splitlines():
        _tell("the agent's log", line)
    installed = root.state()
    assert _timed("install again", root, *device.words()).returncode == 0
    _tell("changed by it", sorted(differing(installed, root.state())) or "nothing")


def waiting_reports(root: Root) -> int:
    """Return how many reports the service has not acknowledged."""
    view = json.loads(root.run("unlatch-agent", "journal", "--json").stdout)
    return int(view["last_seq"] - view["acked_through"])


def differing(one: State, other: State, *, times: bool = True) -> set[str]:
    """Return the files that are in one of them only, or not the same in both; with their times, or without."""

    def seen(state: State, path: str) -> object:
        facts = state.get(path)
        return facts if times or facts is None else facts[1:]

    return {path for path in one.keys() | other.keys() if seen(one, path) != seen(other, path)}


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3])
