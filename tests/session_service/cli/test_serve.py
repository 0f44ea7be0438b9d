from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from broker.mosquitto.ports import LOOPBACK, free_port
from broker.mosquitto.supervisor import Mosquitto
from session_service.migrations import migrate
from session_service.secrets import make_secrets
from session_service.writer_lock import writer_lock
from tests.support.world import share_authority

pytestmark = pytest.mark.server

UNLATCH = [sys.executable, "-m", "session_service.cli"]
START_S = 30  # 2 s on a machine that is not busy


@pytest.fixture
def settings(tmp_path: Path, mosquitto: Mosquitto) -> dict[str, str]:
    """Return the environment of an installation whose service can start."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("UNLATCH_")}
    make_secrets(tmp_path / "secrets")
    share_authority(mosquitto, tmp_path / "secrets")
    migrate(f"sqlite:///{tmp_path}/unlatch.db")
    return {
        **clean,
        "UNLATCH_DATABASE_URL": f"sqlite:///{tmp_path}/unlatch.db",
        "UNLATCH_SECRETS_DIR": f"{tmp_path}/secrets",
        "UNLATCH_HTTP_PORT": str(free_port()),
        "UNLATCH_BROKER_PORT": str(mosquitto.port),
    }


@pytest.fixture
def serving(settings: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Return a running service that has said where it answers."""
    process = subprocess.Popen([*UNLATCH, "serve"], env=settings, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"Unlatch answers at {url(settings)}\n"
        yield process
    finally:
        process.kill()
        process.wait()


def url(settings: dict[str, str]) -> str:
    return f"http://{LOOPBACK}:{settings['UNLATCH_HTTP_PORT']}"


def run(settings: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*UNLATCH, *arguments], env=settings, capture_output=True, text=True, check=False, timeout=START_S
    )


def test_it_answers_and_is_the_only_writer(settings: dict[str, str], serving: subprocess.Popen[str]) -> None:
    assert httpx.get(f"{url(settings)}/healthz").status_code == 200
    refused = run(settings, "operator", "add", "Ada")
    assert refused.returncode == 1
    assert f"Process {serving.pid} is writing" in refused.stderr
    assert run(settings, "check").returncode == 0


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_when_told(settings: dict[str, str], serving: subprocess.Popen[str], stop: signal.Signals) -> None:
    serving.send_signal(stop)
    assert serving.wait(timeout=START_S) == 0
    with writer_lock(settings["UNLATCH_DATABASE_URL"]):
        pass


def test_a_killed_service_leaves_the_database_to_the_next(
    settings: dict[str, str], serving: subprocess.Popen[str]
) -> None:
    serving.kill()
    serving.wait()
    with writer_lock(settings["UNLATCH_DATABASE_URL"]):
        pass


def test_a_taken_port_is_named(settings: dict[str, str], mosquitto: Mosquitto) -> None:
    said = run(settings, "serve", "--port", str(mosquitto.port))
    assert (said.returncode, said.stdout) == (1, "")
    assert "UNLATCH_HTTP_PORT" in said.stderr
    assert "Traceback" not in said.stderr


def test_an_old_schema_is_named(settings: dict[str, str], tmp_path: Path) -> None:
    said = run(settings, "serve", "--database", f"sqlite:///{tmp_path}/other.db")
    assert said.returncode == 1
    assert "unlatch migrate" in said.stderr
    assert "Traceback" not in said.stderr


def test_another_currency_is_named(settings: dict[str, str], serving: subprocess.Popen[str]) -> None:
    serving.kill()
    serving.wait()
    said = run({**settings, "UNLATCH_CURRENCY": "USD"}, "serve")
    assert said.returncode == 1
    assert "UNLATCH_CURRENCY=EUR" in said.stderr
    assert "Traceback" not in said.stderr


def test_check_names_a_broker_that_does_not_answer(settings: dict[str, str]) -> None:
    said = run({**settings, "UNLATCH_BROKER_PORT": "9"}, "check")
    assert said.returncode == 1
    assert "broker: No broker at 127.0.0.1:9" in said.stdout


@pytest.mark.parametrize("command", ["serve", "check"])
def test_without_its_certificates_it_says_what_makes_them(settings: dict[str, str], command: str) -> None:
    (Path(settings["UNLATCH_SECRETS_DIR"]) / "pki").unlink()  # a link to the broker's authority
    said = run(settings, command)
    assert said.returncode == 1
    assert "unlatch pki init" in said.stderr + said.stdout
