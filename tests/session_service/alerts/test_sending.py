"""Alerts are sent on: to a real HTTP server and a real mail server, and again until they are taken."""

from __future__ import annotations

import asyncio
import email
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage, Message
from email.policy import default
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, cast

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from broker.mosquitto.ports import LOOPBACK, free_port
from session_service.alerts.notices import FIRST_GAP_MS, GIVE_UP_MS
from session_service.alerts.sending import SMTP_PASSWORD, WEBHOOK_SECRET, Sender
from session_service.alerts.sites import SETTLE_MS
from session_service.clock import Clock
from session_service.database import Database
from session_service.devices import service as devices
from session_service.errors import SetupError
from session_service.settings import Settings
from tests.support.alerting import BY, HOUR_MS, NOW_MS, Yard, yard
from tests.support.cell import Cell

pytestmark = pytest.mark.server

SECRET = hashlib.sha256(b"a secret for tests").hexdigest()
PASSWORD = "short"


@dataclass
class Receiver:
    """An HTTP server that keeps what it is sent, and answers as it is told."""

    status: int = 200
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@dataclass
class Mailbox:
    """What a mail server keeps, for people who have signed in over TLS."""

    mails: list[Message] = field(default_factory=list)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.mails.append(email.message_from_bytes(envelope.content, policy=default))
        return "250 OK"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.got.append((dict(self.headers), body))
            self.send_response(made.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    made.url = f"http://{LOOPBACK}:{server.server_port}/alerts"
    Thread(target=server.serve_forever, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
async def mail(tmp_path: Path) -> AsyncIterator[tuple[Mailbox, dict[str, Any]]]:
    certificates = Cell(tmp_path / "pki").certificates
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    box = Mailbox()

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        return AuthResult(success=(given.login, given.password) == (b"ada", PASSWORD.encode()))

    server = Controller(
        box,
        hostname=LOOPBACK,
        port=free_port(),
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=check,
    )
    await asyncio.to_thread(server.start)
    settings = {"smtp_host": LOOPBACK, "smtp_port": server.port, "smtp_ca": certificates.ca, "smtp_user": "ada"}
    yield box, {**settings, "smtp_from": "unlatch@city.example", "smtp_to": "a@city.example, b@city.example"}
    await asyncio.to_thread(server.stop)


@pytest.fixture
def secrets_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name, secret in ((WEBHOOK_SECRET, SECRET), (SMTP_PASSWORD, PASSWORD)):
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(secret)
    return folder


def sender(made: Yard, **settings: Any) -> Sender:
    return Sender(made.database, cast("Clock", made.hands), Settings(**settings))


async def raised(made: Yard, number: int, kind: str) -> None:
    opening = partial(devices.open_alert, device_id=made.ids[number - 1], kind=kind, detail="a test", now_ms=NOW_MS)
    await made.database.write(opening)


async def test_a_webhook_is_signed_and_sent_once(database: Database, receiver: Receiver, secrets_dir: Path) -> None:
    made = await yard(database)
    await raised(made, 1, "jammed")
    told = sender(made, alert_webhook_url=receiver.url, secrets_dir=secrets_dir)
    for _ in range(3):
        await told.round()
    ((headers, body),) = receiver.got
    event = json.loads(body)
    assert (event["type"], event["id"]) == ("alert.raised", headers["Idempotency-Key"])
    assert (event["alert"]["kind"], event["alert"]["number"], event["alert"]["severity"]) == ("jammed", 1, "major")
    seconds, mac = headers["Unlatch-Signature"].removeprefix("t=").split(",v1=")
    assert mac == hmac.digest(SECRET.encode(), seconds.encode() + b"." + body, "sha256").hex()
    assert int(seconds) == NOW_MS // 1000
    await database.write(lambda c: devices.clear_alert(c, made.ids[0], "jammed", NOW_MS + 1))
    await told.round()
    assert json.loads(receiver.got[1][1])["type"] == "alert.cleared"


async def test_what_is_not_taken_is_sent_again_under_the_same_id_after_growing_gaps(
    database: Database, receiver: Receiver, secrets_dir: Path
) -> None:
    made = await yard(database)
    await raised(made, 1, "jammed")
    told = sender(made, alert_webhook_url=receiver.url, secrets_dir=secrets_dir)
    receiver.status = 503
    for gap_ms in (0, FIRST_GAP_MS, 4 * FIRST_GAP_MS):
        made.hands.ms += max(0, gap_ms - 1)
        await told.round()  # a millisecond early
        made.hands.ms += 1
        await told.round()
    assert len(receiver.got) == 3
    receiver.status = 204
    made.hands.ms += 16 * FIRST_GAP_MS
    await told.round()
    made.hands.ms += HOUR_MS
    await told.round()
    assert len(receiver.got) == 4
    assert len({headers["Idempotency-Key"] for headers, _ in receiver.got}) == 1
    assert await made.rows("SELECT outcome, tries FROM alert_notice") == [("sent", 4)]


async def test_a_crash_between_telling_and_sending_loses_nothing(
    database: Database, receiver: Receiver, secrets_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await yard(database)
    await raised(made, 1, "jammed")
    crashed = sender(made, alert_webhook_url=receiver.url, secrets_dir=secrets_dir)

    async def crash(_notice: object) -> None:
        raise SystemExit

    monkeypatch.setattr(crashed, "_try", crash)
    with pytest.raises(SystemExit):
        await crashed.round()
    made.hands.ms += FIRST_GAP_MS
    await sender(made, alert_webhook_url=receiver.url, secrets_dir=secrets_dir).round()
    assert len(receiver.got) == 1


async def test_a_receiver_that_is_away_for_days_is_given_up(database: Database, secrets_dir: Path) -> None:
    made = await yard(database)
    await raised(made, 1, "jammed")
    told = sender(made, alert_webhook_url=f"http://{LOOPBACK}:{free_port()}/", secrets_dir=secrets_dir)
    await told.round()
    made.hands.ms += GIVE_UP_MS + 1
    await told.round()
    assert await made.rows("SELECT outcome FROM alert_notice") == [("given_up",)]


async def test_a_failed_site_is_one_mail(
    database: Database, mail: tuple[Mailbox, dict[str, Any]], secrets_dir: Path
) -> None:
    box, settings = mail
    made = await yard(database, 5)
    told = sender(made, secrets_dir=secrets_dir, **settings)
    for _ in range(3):
        await made.round(HOUR_MS)
        await told.round()
    (found,) = box.mails
    assert found["Subject"] == "Unlatch: major site_down at Harbour"
    assert found["To"] == "a@city.example, b@city.example"
    assert found["Message-ID"].endswith("@city.example>")
    assert "5 of 5 devices fell silent together" in cast("EmailMessage", found).get_content()


async def test_many_alerts_are_one_mail_without_the_minor_ones(
    database: Database, mail: tuple[Mailbox, dict[str, Any]], secrets_dir: Path
) -> None:
    box, settings = mail
    made = await yard(database, 3)
    for number, kind in ((1, "tampered"), (2, "jammed"), (3, "undone")):
        await raised(made, number, kind)
    await sender(made, secrets_dir=secrets_dir, **settings).round()
    (found,) = box.mails
    assert found["Subject"] == "Unlatch: critical tampered at number 1, and 1 more"
    assert len(cast("EmailMessage", found).get_content().splitlines()) == 2


async def test_one_silent_device_is_told_of_once_its_site_has_had_its_time(
    database: Database, receiver: Receiver, secrets_dir: Path
) -> None:
    made = await yard(database)
    told = sender(made, alert_webhook_url=receiver.url, secrets_dir=secrets_dir)
    await made.round(HOUR_MS)
    for after_ms, expected in ((0, 0), (SETTLE_MS - 1, 0), (1, 1)):
        made.hands.ms += after_ms
        await told.round()
        assert len(receiver.got) == expected


async def test_what_is_muted_is_told_when_that_ends(database: Database, receiver: Receiver, secrets_dir: Path) -> None:
    made = await yard(database)
    await database.write(lambda c: devices.set_maintenance(c, made.ids[0], on=True, by=BY))
    opening = partial(devices.open_alert, device_id=made.ids[0], kind="jammed", detail="a test", now_ms=NOW_MS + 1)
    await database.write(opening)
    told = sender(made, alert_webhook_url=receiver.url, secrets_dir=secrets_dir)
    await told.round()
    assert receiver.got == []
    await database.write(lambda c: devices.set_maintenance(c, made.ids[0], on=False, by=BY))
    await told.round()
    assert len(receiver.got) == 1


async def test_without_a_channel_nothing_is_kept_for_later(database: Database) -> None:
    made = await yard(database)
    await raised(made, 1, "jammed")
    await sender(made).round()
    assert await made.rows("SELECT count(*) FROM alert_notice") == [(0,)]
    assert await made.rows("SELECT to_tell FROM device_alert") == [(None,)]


async def test_a_channel_without_its_secret_is_a_mistake_that_says_what_to_do(
    database: Database, tmp_path: Path
) -> None:
    made = await yard(database)
    with pytest.raises(SetupError, match="openssl rand"):
        sender(made, alert_webhook_url="https://x.example/", secrets_dir=tmp_path)
    with pytest.raises(SetupError, match="smtp-password"):
        sender(made, smtp_user="ada", secrets_dir=tmp_path)
