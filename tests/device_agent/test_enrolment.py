"""A new device enrols: over HTTP with the service's side, interrupted, refused, lied to."""

from __future__ import annotations

import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from broker.contract.enrolment import Enrolment
from device_agent import certificates, enrolment, files
from device_agent.cli import main
from device_agent.enrolment import Wish, enrol
from device_agent.errors import AgentError, EnrolmentError, ServiceError
from device_agent.service import MAX_ANSWER_BYTES, Service
from device_agent.settings import load
from tests.support.agent_cell import StubService
from tests.support.agent_world import DEVICE
from tests.support.cell import Cell

pytestmark = pytest.mark.server

CLAIM = "7Q2M-XK4P"
SECRETS = {"tls-key.pem", "report-key.pem", "device.toml"}


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Cell(tmp_path / "pki")


@pytest.fixture
def service(cell: Cell) -> Iterator[StubService]:
    with StubService(cell) as stub:
        yield stub


@pytest.fixture
def wish(tmp_path: Path, service: StubService) -> Wish:
    return Wish(url=service.url, device=DEVICE, claim=CLAIM, folder=tmp_path / "device")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_enrolled_device_has_all_that_it_needs_and_its_secrets_are_its_own(wish: Wish, service: StubService) -> None:
    settings = load(enrol(wish))
    assert (settings.values.device, settings.values.broker.port) == (DEVICE, 8883)
    asked = msgspec.json.decode(service.bodies[0], type=Enrolment)
    assert (asked.device_id, asked.claim) == (DEVICE, CLAIM)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in wish.folder.iterdir()}
    assert {name for name, mode in modes.items() if mode == 0o600} == SECRETS
    assert {"ca.pem", "tls-cert.pem"} <= modes.keys()
    assert len(modes) == len(SECRETS) + 3  # with the command key, and nothing left lying about
    keys = b"".join(content for name, content in contents(wish.folder).items() if name in SECRETS)
    assert all(line not in service.bodies[0] for line in keys.splitlines() if b"PRIVATE" not in line and len(line) > 40)


class PowerCutError(Exception):
    pass


@pytest.mark.parametrize("writes", range(5))
def test_after_a_crash_the_same_request_is_made_with_the_same_keys(
    wish: Wish, service: StubService, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    real = files.write
    done: list[Path] = []

    def write(file: Path, text: str, mode: int) -> None:
        if len(done) == writes:
            raise PowerCutError
        done.append(file)
        real(file, text, mode)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write", write)
        with pytest.raises(PowerCutError):
            enrol(wish)
    assert not (wish.folder / enrolment.SETTINGS_FILE).exists()
    settings = load(enrol(wish))
    assert service.bodies[0] == service.bodies[1]
    assert service.keys[0] == service.keys[1]
    assert settings.identity is not None
    certificates.life_of(settings.identity.cert_file)


def test_an_enrolled_device_is_not_enrolled_over(wish: Wish, service: StubService) -> None:
    enrol(wish)
    before = contents(wish.folder)
    with pytest.raises(EnrolmentError, match="out of the way"):
        enrol(wish)
    assert contents(wish.folder) == before
    assert len(service.bodies) == 1


def test_what_the_service_says_is_told(wish: Wish, service: StubService) -> None:
    service.refusal = 410, b'{"title": "This claim code is good no more", "detail": "It has been used. Ask."}'
    with pytest.raises(ServiceError, match=r"410: This claim code is good no more\. It has been used\. Ask\."):
        enrol(wish)
    service.refusal = 502, b"<html>"
    with pytest.raises(ServiceError, match="502: Bad Gateway"):
        enrol(wish)
    assert set(contents(wish.folder)) == {"tls-key.pem", "report-key.pem"}


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"device_id": "9999999999"}, "not for"),
        ({"certificate_pem": "rubbish"}, "no certificate"),
        ({"ca_pem": "rubbish"}, "no certificate"),
        ({"command_keys": {}}, "command keys"),
        ({"command_keys": {"../evil": "rubbish"}}, "command key"),
        ({"broker": {"host": "", "port": 1}}, "not Unlatch"),
        ({"broker": None}, "not Unlatch"),
    ],
)
def test_an_answer_that_is_no_good_leaves_no_settings(
    wish: Wish, service: StubService, change: dict[str, Any], names: str
) -> None:
    service.change = lambda answer: answer | change
    with pytest.raises(EnrolmentError, match=names):
        enrol(wish)
    assert set(contents(wish.folder)) == {"tls-key.pem", "report-key.pem"}


def test_a_command_key_under_another_keys_name_is_refused(wish: Wish, service: StubService) -> None:
    service.change = lambda answer: (
        answer | {"command_keys": {"../../etc/x": next(iter(answer["command_keys"].values()))}}
    )
    with pytest.raises(EnrolmentError, match="other names"):
        enrol(wish)


def test_a_host_name_cannot_smuggle_settings_in(wish: Wish, service: StubService) -> None:
    evil = 'x"\nplain_tcp = true\n"'
    service.change = lambda answer: answer | {"broker": {"host": evil, "port": 1}}
    assert load(enrol(wish)).values.broker.host == evil


def test_the_revision_of_the_command_keys_is_kept(wish: Wish, service: StubService) -> None:
    service.change = lambda answer: answer | {"config_revision": 7}
    assert load(enrol(wish)).values.config_revision == 7


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_claim_is_not_taken_elsewhere(wish: Wish, service: StubService, status: int) -> None:
    service.refusal = status, f"{service.url}/elsewhere".encode()
    with pytest.raises(ServiceError, match=f"answered {status}"):
        enrol(wish)
    assert len(service.bodies) == 1


def test_an_answer_has_a_bound(wish: Wish, service: StubService) -> None:
    service.refusal = 201, b" " * (MAX_ANSWER_BYTES + 1)
    with pytest.raises(ServiceError, match="too long"):
        enrol(wish)


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("http://unlatch.example.org", "in the clear"),
        ("http://10.0.0.1:8000", "in the clear"),
        ("http://localhost.example.org", "in the clear"),
        ("ftp://unlatch.example.org", "not an address"),
        ("unlatch.example.org", "not an address"),
        ("file:///etc/passwd", "not an address"),
    ],
)
def test_a_claim_travels_encrypted_or_stays_on_the_machine(url: str, names: str) -> None:
    with pytest.raises(ServiceError, match=names):
        Service(url)


@pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1", "https://x.example"])
def test_this_machine_may_do_without(url: str) -> None:
    assert Service(url)


def test_https_takes_the_authority_that_is_named_and_no_other(tmp_path: Path, cell: Cell, wish: Wish) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cell.pki / "broker.pem", cell.pki / "broker-key.pem")
    with StubService(cell, tls=context) as secured:
        plain = {"url": secured.url, "device": DEVICE, "claim": CLAIM, "folder": wish.folder}
        with pytest.raises(ServiceError, match=r"certificate verify failed.*--ca"):
            enrol(Wish(**plain))  # type: ignore[arg-type]
        assert secured.bodies == []
        settings = load(enrol(Wish(**plain, ca_file=cell.pki / "ca.pem")))  # type: ignore[arg-type]
    assert settings.values.service is not None
    assert settings.path(settings.values.service.ca_file or "").read_bytes() == (cell.pki / "ca.pem").read_bytes()
    with pytest.raises(ServiceError, match="authority"):
        Service("https://x.example", tmp_path / "none.pem")


def test_from_the_command_line_with_the_claim_from_standard_input(wish: Wish, service: StubService) -> None:
    command = [sys.executable, "-m", "device_agent.cli", "enrol", "--service", service.url, "--device", DEVICE]
    done = subprocess.run(
        [*command, "--claim", "-", "--dir", str(wish.folder), "--kind", "pod"],
        input=f"{CLAIM}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "selftest --config" in done.stdout) == (0, True), done
    assert msgspec.json.decode(service.bodies[0], type=Enrolment).claim == CLAIM
    assert load(wish.folder / "device.toml").values.lock.kind == "pod"


def test_a_failure_is_told_in_a_line(wish: Wish, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["enrol", "--service", "http://127.0.0.1:9", "--device", DEVICE, "--claim", CLAIM]
    assert main([*arguments, "--dir", str(wish.folder)]) == 1
    assert "check the address" in capsys.readouterr().err
    assert main(["enrol", "--service", wish.url, "--device", DEVICE, "--claim", CLAIM, "--dir", "/dev/null/x"]) == 1
    assert "owner" in capsys.readouterr().err


def test_what_is_wired_becomes_part_of_the_settings(wish: Wish, tmp_path: Path) -> None:
    wiring = tmp_path / "wiring.toml"
    wiring.write_text('[lock]\ndriver = "memory" # for a bench\nkind = "pod"\n[lock.options]\nmovement_ms = 5\n')
    file = enrol(replace(wish, wiring=wiring, state_dir="/var/lib/x"))
    settings = load(file)
    assert "# for a bench" in file.read_text()
    assert (settings.values.lock.kind, settings.values.lock.options) == ("pod", {"movement_ms": 5})
    assert settings.journal_file == Path("/var/lib/x/journal.sqlite")


@pytest.mark.parametrize(
    "text", ["rubbish", "", "[senses]\n", '[lock]\n[broker]\nhost = "mine"\n', "device = 'x'\n[lock]\n"]
)
def test_a_wiring_that_says_more_or_less_is_refused_before_the_claim_is_used(
    wish: Wish, service: StubService, tmp_path: Path, text: str
) -> None:
    wiring = tmp_path / "wiring.toml"
    wiring.write_text(text)
    with pytest.raises(EnrolmentError, match="wiring"):
        enrol(replace(wish, wiring=wiring))
    assert service.bodies == []


def test_rubbish_in_the_place_of_a_key_is_named(wish: Wish) -> None:
    wish.folder.mkdir()
    (wish.folder / "tls-key.pem").write_text("rubbish")
    (wish.folder / "tls-key.pem").chmod(0o600)
    with pytest.raises(AgentError, match=r"tls-key\.pem"):
        enrol(wish)
