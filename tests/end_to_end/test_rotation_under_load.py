"""Every kind of key changes while real trips are replayed, and no rider is refused for it. Part of `make soak`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from simulators.processes import program
from tests.support.postgres import Postgres

TRIPS: Final = os.environ.get("UNLATCH_TRIPS", "")
NUMBER: Final = 1_000
SPEED: Final = "3600"
LIMIT_S: Final = 900.0
PATIENCE_S: Final = 120.0  # for all devices to hear of a new key, on a machine that is busy with riders
POLL_S: Final = 1.0

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(not TRIPS, reason="a soak: make soak TRIPS=DIR, a folder of real trips"),
]


class Installation:
    """The replay's own installation, for its operator's commands."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self._environment = os.environ | {
            "UNLATCH_SECRETS_DIR": str(folder / "secrets"),
            "UNLATCH_DATABASE_URL": database_url,
            "UNLATCH_CIVIL_SPEED": SPEED,  # the evidence is held against fares in civil time
        }

    def unlatch(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program("unlatch"), *words], env=self._environment, capture_output=True, text=True, timeout=60, check=False
        )

    def do(self, *words: str) -> str:
        ran = self.unlatch(*words)
        assert ran.returncode == 0, (words, ran.stdout, ran.stderr)
        return ran.stdout

    def until_done(self, *words: str) -> None:
        """Repeat a command that is refused while devices are not ready for it."""
        for _ in range(int(PATIENCE_S / POLL_S)):
            ran = self.unlatch(*words)
            if ran.returncode == 0:
                return
            time.sleep(POLL_S)
        pytest.fail(f"{words}: {ran.stdout} {ran.stderr}")


def test_keys_change_under_a_replay_and_nobody_is_refused(postgres: Postgres, tmp_path: Path) -> None:
    database_url, kept, out = postgres.new_database(), tmp_path / "kept", tmp_path / "report.json"
    command = [program("unlatch-sim"), "replay", TRIPS, "--trips", str(NUMBER), "--speed", SPEED, "--out", str(out)]
    command += ["--database", database_url, "--keep", str(kept)]
    replay = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=sys.stderr, text=True)
    try:
        assert replay.stdout is not None
        said = next(line for line in replay.stdout if line.startswith("100 of"))  # riders are on their way
        here = Installation(kept, database_url)
        here.do("keys", "rotate", "--reason", "soak")
        here.until_done("keys", "activate", "--reason", "soak")
        here.do("label", "keys", "rotate", "--reason", "soak")
        here.do("pki", "init", "--host", "localhost", "--host", "127.0.0.1", "--host", "broker.example")
        here.until_done("keys", "retire", "--reason", "soak")
        assert replay.poll() is None, "the replay was over before the keys had changed"
        rest = [said, *replay.stdout]
        assert replay.wait(LIMIT_S) == 0, "".join(rest)
        here.do("check", "--evidence")  # what was signed under keys of before, too
    finally:
        replay.kill()
        replay.wait()
    report = json.loads(out.read_bytes())
    assert (report["completed"], report["refused"]) == (NUMBER, 0)
    assert report["charged_minor"] == report["recomputed_minor"]
    assert not any(report["invariants"].values())
