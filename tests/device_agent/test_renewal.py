"""Renewal: when it is asked for, what comes of it, and that it is used under traffic without a lost report."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from broker.contract.codes import Action, Result
from broker.contract.keys import private_pem, public_pem
from broker.mosquitto.supervisor import Mosquitto
from device_agent import certificates
from device_agent.clock import SystemClock
from device_agent.drivers.memory import Movement
from device_agent.errors import AgentError, EnrolmentError, ServiceError
from device_agent.identity import Identity
from device_agent.renew import renew
from device_agent.renewal import RenewalWatch, Renewing
from device_agent.settings import LoadedSettings, load
from tests.support.agent_cell import StubService
from tests.support.agent_service import HeardService
from tests.support.agent_world import COMMAND_KEY, DEVICE, REPORT_KEY
from tests.support.cell import Cell

pytestmark = pytest.mark.server

STOP_S = 20.0
DUE_DAYS = 61  # of 90

SETTINGS = """
device = "{device}"
state_dir = "state"
report_key_file = "report-key.pem"
command_key_files = ["command-key.pem"]
heartbeat_interval_ms = 200
[broker]
host = "127.0.0.1"
port = {port}
ca_file = "ca.pem"
cert_file = "tls-cert.pem"
key_file = "tls-key.pem"
[service]
url = "{url}"
check_interval_s = 1
[lock]
kind = "pod"
[lock.options]
movement_ms = 0
"""


@pytest.fixture
def cell(own_mosquitto: Mosquitto) -> Cell:
    return Cell(own_mosquitto.certificates.ca.parent)


@pytest.fixture
def service(cell: Cell) -> Iterator[StubService]:
    with StubService(cell) as stub:
        stub.report_key = REPORT_KEY.public_key()
        yield stub


def settings_of(folder: Path, cell: Cell, service: StubService, *, age_days: int, port: int = 8883) -> LoadedSettings:
    """Make the folder of a device whose certificate is so old."""
    files = cell.client(DEVICE, age_days=age_days)
    for name, text in (
        ("report-key.pem", private_pem(REPORT_KEY)),
        ("command-key.pem", public_pem(COMMAND_KEY.public_key())),
        ("ca.pem", files.ca.read_text()),
        ("tls-cert.pem", files.certificate.read_text()),
        ("tls-key.pem", files.key.read_text()),
        ("device.toml", SETTINGS.format(device=DEVICE, port=port, url=service.url)),
    ):
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text)
    return load(folder / "device.toml")


def identity_of(settings: LoadedSettings) -> Identity:
    assert settings.identity is not None
    return settings.identity


def test_a_young_certificate_is_left_alone(tmp_path: Path, cell: Cell, service: StubService) -> None:
    settings = settings_of(tmp_path, cell, service, age_days=58)
    assert renew(settings) in {"not due: 31 days left", "not due: 32 days left"}
    assert service.bodies == []


def test_a_clock_that_cannot_be_right_renews_nothing(
    tmp_path: Path, cell: Cell, service: StubService, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tmp_path, cell, service, age_days=DUE_DAYS)
    monkeypatch.setattr(SystemClock, "unix_s", lambda _: 0)
    assert "clock" in renew(settings)
    assert service.bodies == []


@pytest.mark.parametrize("age_days", [DUE_DAYS, 120], ids=["due", "ended"])
def test_a_certificate_that_is_due_is_renewed_beside_the_one_in_use(
    tmp_path: Path, cell: Cell, service: StubService, age_days: int
) -> None:
    settings = settings_of(tmp_path, cell, service, age_days=age_days)
    identity = identity_of(settings)
    before = identity.cert_file.read_bytes(), identity.key_file.read_bytes()
    assert "days left" in renew(settings)
    assert (identity.cert_file.read_bytes(), identity.key_file.read_bytes()) == before
    assert certificates.life_of(identity.new_cert_file).ends_s > certificates.life_of(identity.cert_file).ends_s
    assert identity.new_key_file.stat().st_mode & 0o777 == 0o600
    assert identity.new_key_file.read_bytes() != before[1]
    assert "before" in renew(settings)
    assert len(service.bodies) == 1


def test_a_try_that_failed_goes_on_with_the_same_key(tmp_path: Path, cell: Cell, service: StubService) -> None:
    settings = settings_of(tmp_path, cell, service, age_days=DUE_DAYS)
    identity = identity_of(settings)
    service.refusal = 503, b"{}"
    with pytest.raises(ServiceError, match="503"):
        renew(settings)
    key = identity.new_key_file.read_bytes()
    service.refusal = None
    renew(settings)
    assert identity.new_key_file.read_bytes() == key


def test_a_certificate_that_is_not_ours_is_not_kept(tmp_path: Path, cell: Cell, service: StubService) -> None:
    settings = settings_of(tmp_path, cell, service, age_days=DUE_DAYS)
    service.change = lambda answer: answer | {"device_id": "9999999999"}
    with pytest.raises(EnrolmentError, match="not for"):
        renew(settings)
    assert not identity_of(settings).renewed


def test_settings_without_a_service_say_what_is_missing(tmp_path: Path, cell: Cell, service: StubService) -> None:
    settings = settings_of(tmp_path, cell, service, age_days=DUE_DAYS)
    text = settings.file.read_text()
    settings.file.write_text(text[: text.index("[service]")])
    with pytest.raises(AgentError, match=r"service\.url"):
        renew(load(settings.file))


class Watched:
    """A watch with its settings, whose looks are counted."""

    def __init__(self, settings: LoadedSettings) -> None:
        self.renewals = 0
        self.watch = RenewalWatch(
            Renewing(
                settings_file=settings.file,
                identity=identity_of(settings),
                interval_s=100.0,
                when_renewed=self._count,
            )
        )

    def _count(self) -> None:
        self.renewals += 1


def test_a_look_renews_and_tells_until_the_certificate_is_used(
    tmp_path: Path, cell: Cell, service: StubService
) -> None:
    settings = settings_of(tmp_path, cell, service, age_days=DUE_DAYS)
    watched = Watched(settings)
    assert [watched.watch.look() for _ in range(2)] == [100.0, 100.0]
    assert watched.renewals == 2
    identity_of(settings).settle()
    assert watched.watch.look() == 100.0
    assert (watched.renewals, len(service.bodies)) == (2, 1)


def test_a_look_that_fails_is_followed_by_another_soon_but_not_at_once(
    tmp_path: Path, cell: Cell, service: StubService
) -> None:
    settings = settings_of(tmp_path, cell, service, age_days=DUE_DAYS)
    service.refusal = 503, b"{}"
    watched = Watched(settings)
    waits = [watched.watch.look() for _ in range(3)]
    assert all(wait <= 100.0 for wait in waits)
    assert len(set(waits)) > 1
    assert watched.renewals == 0


def ended_or_beat(heard: HeardService, command_id: str) -> Callable[[], bool]:
    beats = len(heard.heartbeats)
    return lambda: heard.has_ended(command_id) or len(heard.heartbeats) > beats


def ordered(heard: HeardService, number: int) -> None:
    """Have an order carried out; ask again by the same id with every heartbeat, as the service does."""
    command = heard.command(f"command-{number:06d}", [Action.UNLOCK, Action.LOCK][number % 2], ttl_ms=20_000)
    while not heard.has_ended(command.id):
        heard.send(command)
        heard.wait_until(ended_or_beat(heard, command.id))
    assert heard.outcome(command.id).result is Result.DONE
    heard.ack()


def test_under_traffic_no_report_is_lost_and_every_order_is_carried_out_once(
    tmp_path: Path, cell: Cell, service: StubService, own_mosquitto: Mosquitto
) -> None:
    settings = settings_of(tmp_path, cell, service, age_days=DUE_DAYS, port=own_mosquitto.port)
    old = identity_of(settings).cert_file.read_bytes()
    heard = HeardService(own_mosquitto, DEVICE)
    command = [sys.executable, "-m", "device_agent.cli", "run", "--config", str(settings.file)]
    log = tmp_path / "log"
    with log.open("w") as stderr, subprocess.Popen(command, stderr=stderr, stdout=stderr) as agent:
        try:
            number = 0
            while identity_of(settings).cert_file.read_bytes() == old:
                ordered(heard, number)
                number += 1
                assert number < 10_000, "not renewed"
            for more in range(20):
                ordered(heard, number + more)
        finally:
            agent.terminate()
            agent.wait(STOP_S)
            heard.close()
    said = log.read_text()
    assert said.count("renewed certificate in use") == 1, said
    assert said.count("link down") == 2, said  # for the renewal and at the end
    numbers = sorted({report.seq for report in heard.reports})
    assert numbers == list(range(1, numbers[-1] + 1))
    moved = [
        msgspec.json.decode(line, type=Movement).command_id
        for line in settings.journal_file.with_name("body.jsonl").open("rb")
    ]
    assert moved == [f"command-{done:06d}" for done in range(number + 20)]
    assert len(service.bodies) == 1
