"""Bad messages over a real broker: each is counted by its reason and has no effect, and the gateway goes on."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import os
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import pytest
from jwt.api_jws import PyJWS
from prometheus_client.parser import text_string_to_metric_families

from broker.contract.codes import Action, Bolt, Result
from broker.contract.envelope import Rejection, sign
from broker.contract.jws import PrivateKey
from broker.contract.keys import key_id, new_command_key, new_report_key, public_pem
from broker.contract.messages import MAX_MESSAGE_BYTES, BootReport, CommandReport, Heartbeat, Report, Status
from broker.contract.topics import Channel, topic
from session_service.clock import new_device_id
from tests.support.mosquitto import Client
from tests.support.towns import Town
from tests.support.world import World, until

pytestmark = [pytest.mark.server, pytest.mark.asyncio(loop_scope="module")]

BOOT: Final = "boot-0123456789"
MOST: Final = 9_007_199_254_740_991  # the contract's largest number


@dataclass(frozen=True)
class Bad:
    """What an impostor has to work with: a registered device's identity and key, and another key."""

    device: str
    key: PrivateKey

    def report(self, **changes: Any) -> Report:
        fields = {
            "version": 1,
            "device": self.device,
            "journal_id": f"journal-{self.device}",
            "seq": 1,
            "boot_id": BOOT,
            "uptime_ms": 1_000,
            "status": Status(bolt=Bolt.CLOSED),
            "body": BootReport(agent_version="0"),
        }
        return Report(**(fields | changes))  # type: ignore[arg-type]

    def heartbeat(self, **changes: Any) -> Heartbeat:
        fields = {
            "version": 1,
            "device": self.device,
            "journal_id": f"journal-{self.device}",
            "boot_id": BOOT,
            "uptime_ms": 1_000,
            "last_seq": 0,
            "outbox_depth": 0,
            "status": Status(bolt=Bolt.CLOSED),
            "agent_version": "0",
        }
        return Heartbeat(**(fields | changes))  # type: ignore[arg-type]

    def signed(self, message: Report | Heartbeat, key: PrivateKey | None = None) -> bytes:
        key = key or self.key
        return sign(message, key, key_id(key.public_key()))

    def payload(self, content: bytes, **header: Any) -> bytes:
        """Return any bytes, rightly signed, with any header."""
        headers = {"typ": Report.TYPE, "kid": "k", **header}
        jws = PyJWS(algorithms=["ES256"])
        return jws.encode(content, self.key, algorithm="ES256", headers=headers).encode()

    def json(self, **changes: Any) -> bytes:
        """Return a report, rightly signed, with changes that our own code would not make."""
        fields = json.loads(msgspec.json.encode(self.report()))
        return self.payload(json.dumps(fields | changes).encode())


def b64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def unsigned(bad: Bad) -> bytes:
    header = b64(json.dumps({"alg": "none", "typ": Report.TYPE, "kid": "k"}).encode())
    return header + b"." + b64(msgspec.json.encode(bad.report())) + b"."


def signed_with_the_public_key_as_a_secret(bad: Bad) -> bytes:
    header = b64(json.dumps({"alg": "HS256", "typ": Report.TYPE, "kid": "k"}).encode())
    said = header + b"." + b64(msgspec.json.encode(bad.report()))
    secret = public_pem(bad.key.public_key()).encode()
    return said + b"." + b64(hmac.digest(secret, said, hashlib.sha256))


def without_signature(bad: Bad) -> bytes:
    return bad.signed(bad.report()).rpartition(b".")[0] + b"."


def altered(bad: Bad) -> bytes:
    header, _, signature = bad.signed(bad.report()).split(b".")
    return b".".join((header, b64(msgspec.json.encode(bad.report(seq=2))), signature))


def same_token_with(junk: bytes) -> Callable[[Bad], bytes]:
    """Some decoders of base64 skip what is no base64, four at a time: then the signature is still right."""

    def make(bad: Bad) -> bytes:
        token = bad.signed(bad.report())
        return token[:-9] + junk + token[-9:]

    return make


REPORTS: Final[dict[str, tuple[Callable[[Bad], bytes], Rejection]]] = {
    "empty": (lambda _: b"", Rejection.MALFORMED),
    "random": (lambda _: os.urandom(500), Rejection.MALFORMED),
    "text": (lambda _: b"unlock", Rejection.MALFORMED),
    "dots": (lambda _: b"..", Rejection.MALFORMED),
    "bare JSON": (lambda bad: msgspec.json.encode(bad.report()), Rejection.MALFORMED),
    "header is no JSON": (lambda _: b64(b"x") + b".e30.e30", Rejection.MALFORMED),
    "header is a list": (lambda _: b64(b"[]") + b".e30.e30", Rejection.MALFORMED),
    "deep header": (lambda _: b64(b"[" * 2_000) + b".e30.e30", Rejection.MALFORMED),
    "header with strange types": (
        lambda _: b64(b'{"alg":[],"typ":"unlatch-rpt","kid":{}}') + b".e30.e30",
        Rejection.MALFORMED,
    ),
    "two parts": (lambda bad: bad.signed(bad.report()).rpartition(b".")[0], Rejection.MALFORMED),
    "four parts": (lambda bad: bad.signed(bad.report()) + b".e30", Rejection.MALFORMED),
    "unsigned": (unsigned, Rejection.UNSIGNED),
    "signature cut off": (without_signature, Rejection.BAD_SIGNATURE),
    "another signature": (lambda bad: without_signature(bad) + b64(bytes(64)), Rejection.BAD_SIGNATURE),
    "signature too short": (lambda bad: without_signature(bad) + b64(bytes(9)), Rejection.BAD_SIGNATURE),
    "another key": (lambda bad: bad.signed(bad.report(), new_report_key()), Rejection.BAD_SIGNATURE),
    "another kind of key": (lambda bad: bad.signed(bad.report(), new_command_key()), Rejection.MALFORMED),
    "the public key as a secret": (signed_with_the_public_key_as_a_secret, Rejection.MALFORMED),
    "altered": (altered, Rejection.BAD_SIGNATURE),
    "NUL in the signature": (same_token_with(4 * b"\0"), Rejection.MALFORMED),
    "not ASCII in the signature": (same_token_with(4 * b"\xff"), Rejection.MALFORMED),
    "blank in the signature": (same_token_with(4 * b" "), Rejection.MALFORMED),
    "new line at the end": (lambda bad: bad.signed(bad.report()) + b"\n", Rejection.MALFORMED),
    "a heartbeat": (lambda bad: bad.signed(bad.heartbeat()), Rejection.WRONG_TYPE),
    "a command": (lambda bad: bad.payload(b"{}", typ="unlatch-cmd"), Rejection.WRONG_TYPE),
    "no type": (lambda bad: bad.payload(b"{}", typ="JWT"), Rejection.WRONG_TYPE),
    "oversized": (lambda bad: bad.payload(b" " * 2 * MAX_MESSAGE_BYTES)[: MAX_MESSAGE_BYTES + 1], Rejection.OVERSIZED),
    "oversized and right": (lambda bad: bad.json(padding="x" * MAX_MESSAGE_BYTES), Rejection.OVERSIZED),
    "another device": (lambda bad: bad.signed(bad.report(device=new_device_id())), Rejection.WRONG_DEVICE),
    "from the future": (lambda bad: bad.json(version=2), Rejection.FUTURE_VERSION),
    "from the future, otherwise strange": (lambda bad: bad.payload(b'{"version":99}'), Rejection.FUTURE_VERSION),
    "no version": (lambda bad: bad.payload(b"{}"), Rejection.MALFORMED),
    "version 0": (lambda bad: bad.json(version=0), Rejection.MALFORMED),
    "version in words": (lambda bad: bad.json(version="1"), Rejection.MALFORMED),
    "content is no JSON": (lambda bad: bad.payload(b"\xff"), Rejection.MALFORMED),
    "deep content": (lambda bad: bad.payload(b'{"version":1,"a":' + b"[" * 2_000), Rejection.MALFORMED),
    "no number": (lambda bad: bad.json(seq=None), Rejection.MALFORMED),
    "number 0": (lambda bad: bad.json(seq=0), Rejection.MALFORMED),
    "number too large": (lambda bad: bad.json(seq=MOST + 1), Rejection.MALFORMED),
    "negative uptime": (lambda bad: bad.json(uptime_ms=-1), Rejection.MALFORMED),
    "half a millisecond": (lambda bad: bad.json(uptime_ms=0.5), Rejection.MALFORMED),
    "strange journal": (lambda bad: bad.json(journal_id="a' OR 1=1;"), Rejection.MALFORMED),
    "NUL in the boot's id": (lambda bad: bad.json(boot_id="boot\0000000000"), Rejection.MALFORMED),
    "off the map": (
        lambda bad: bad.json(status={"bolt": "open", "position": {"lat": 91, "lon": 0}}),
        Rejection.MALFORMED,
    ),
    "unknown bolt": (lambda bad: bad.json(status={"bolt": "ajar"}), Rejection.MALFORMED),
    "unknown body": (lambda bad: bad.json(body={"kind": "confession"}), Rejection.MALFORMED),
}

HEARTBEATS: Final[dict[str, tuple[Callable[[Bad], bytes], Rejection]]] = {
    "empty": (lambda _: b"", Rejection.MALFORMED),
    "a report": (lambda bad: bad.signed(bad.report()), Rejection.WRONG_TYPE),
    "another key": (lambda bad: bad.signed(bad.heartbeat(), new_report_key()), Rejection.BAD_SIGNATURE),
    "another device": (lambda bad: bad.signed(bad.heartbeat(device=new_device_id())), Rejection.WRONG_DEVICE),
    "not ASCII in the signature": (lambda bad: bad.signed(bad.heartbeat()) + 4 * b"\xff", Rejection.MALFORMED),
}


async def counted(made: World, name: str, **labels: str) -> float:
    """Return a figure of /metrics, 0 if it is not there yet."""
    text = (await made.client.get("/metrics")).text
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


async def rejected(made: World, channel: str, reason: str) -> float:
    return await counted(made, "unlatch_messages_rejected_total", channel=channel, reason=reason)


async def registered(town: Town) -> Bad:
    """Register a device that exists on paper only."""
    key = new_report_key()
    number = 10_000 + secrets.randbelow(1_000_000)
    made = await town.world.ops(
        "POST", "/v1/ops/devices", kind="bike", number=number, report_key_pem=public_pem(key.public_key())
    )
    return Bad(made.json()["device_id"], key)


@asynccontextmanager
async def speaking_as(made: World, device: str) -> AsyncIterator[Client]:
    """Connect to the broker with a certificate in the name of a device."""
    client = await asyncio.to_thread(Client, made.broker, device)
    try:
        yield client
    finally:
        await asyncio.to_thread(client.close)


async def say(client: Client, device: str, channel: Channel, payload: bytes) -> None:
    await asyncio.to_thread(client.publish, topic(device, channel), payload)


@pytest.mark.parametrize(("channel", "cases"), [(Channel.REPORT, REPORTS), (Channel.HEARTBEAT, HEARTBEATS)])
async def test_bad_messages_are_counted_by_reason_and_have_no_effect(
    town: Town, channel: Channel, cases: Mapping[str, tuple[Callable[[Bad], bytes], Rejection]]
) -> None:
    bad = await registered(town)
    before = await town.contents()

    async with speaking_as(town.world, bad.device) as client:
        for reason in set(Rejection) & {reason for _, reason in cases.values()}:
            counts = {other: await rejected(town.world, channel, other) for other in Rejection}
            said = [make(bad) for make, its_reason in cases.values() if its_reason is reason]
            for payload in said:
                await say(client, bad.device, channel, payload)
            await until_rejected(town.world, sum(counts.values()) + len(said), channel)
            now = {other: await rejected(town.world, channel, other) for other in Rejection}
            assert now == {**counts, reason: counts[reason] + len(said)}

    assert await town.contents() == before
    await goes_on(town)


async def until_rejected(made: World, total: float, channel: str) -> None:
    await until(lambda: counted(made, "unlatch_messages_rejected_total", channel=channel), lambda now: now >= total)


async def until_counted(made: World, name: str, more_than: float, **labels: str) -> None:
    await until(lambda: counted(made, name, **labels), lambda now: now > more_than)


async def goes_on(town: Town) -> None:
    """Show that the gateway still hears and answers a device."""
    bike = await town.world.device()
    bike.do("go_offline", {})


async def test_a_device_that_nobody_registered_is_not_heard(town: Town) -> None:
    stranger = Bad(new_device_id(), new_report_key())
    before = await town.contents()
    count = await rejected(town.world, "rpt", Rejection.UNKNOWN_KEY)

    async with speaking_as(town.world, stranger.device) as client:
        await say(client, stranger.device, Channel.REPORT, stranger.signed(stranger.report()))
        await until(lambda: rejected(town.world, "rpt", Rejection.UNKNOWN_KEY), lambda now: now == count + 1)

    assert await town.contents() == before


async def test_a_device_that_says_nonsense_is_logged_once(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    bad = await registered(town)
    count = await rejected(town.world, "rpt", Rejection.MALFORMED)

    with caplog.at_level(logging.WARNING):
        async with speaking_as(town.world, bad.device) as client:
            for _ in range(5):
                await say(client, bad.device, Channel.REPORT, b"nonsense")
            await until(lambda: rejected(town.world, "rpt", Rejection.MALFORMED), lambda now: now == count + 5)

    assert sum(bad.device in record.getMessage() for record in caplog.records) == 1


ABSURD: Final[dict[str, Callable[[Bad], list[tuple[Channel, bytes]]]]] = {
    "an uptime of 285,000 years, then one of a second": lambda bad: [
        (Channel.HEARTBEAT, bad.signed(bad.heartbeat(uptime_ms=MOST))),
        (Channel.REPORT, bad.signed(bad.report(uptime_ms=1_000))),
    ],
    "the largest numbers everywhere": lambda bad: [
        (
            Channel.HEARTBEAT,
            bad.signed(bad.heartbeat(last_seq=MOST, outbox_depth=MOST, dropped=MOST, uptime_ms=MOST)),
        ),
        (Channel.REPORT, bad.signed(bad.report(uptime_ms=MOST))),
    ],
    "a boot that nobody has heard of": lambda bad: [
        (Channel.REPORT, bad.signed(bad.report(boot_id="never-heard-of"))),
    ],
    "strange letters": lambda bad: [
        (Channel.HEARTBEAT, bad.signed(bad.heartbeat(agent_version="\0\n\u202e" * 100))),
        (Channel.REPORT, bad.signed(bad.report(body=BootReport(agent_version="\0\n\u202e" * 100)))),
    ],
    "an outcome of a command that was never given": lambda bad: [
        (
            Channel.REPORT,
            bad.signed(
                bad.report(
                    body=CommandReport(
                        command_id="never-given", action=Action.UNLOCK, result=Result.DONE, accepted_uptime_ms=MOST
                    )
                )
            ),
        ),
    ],
}


@pytest.mark.parametrize("name", ABSURD)
async def test_an_absurd_message_with_a_right_signature_breaks_nothing_for_others(town: Town, name: str) -> None:
    bad = await registered(town)

    async with speaking_as(town.world, bad.device) as client:
        for channel, payload in ABSURD[name](bad):
            good = await counted(town.world, "unlatch_messages_total")
            await say(client, bad.device, channel, payload)
            await until_counted(town.world, "unlatch_messages_total", good)
        await goes_on(town)

    for path in ("/v1/ops/devices", f"/v1/ops/devices/{bad.device}", "/v1/ops/sessions", "/v1/ops/ledger/check"):
        answer = await town.world.ops("GET", path)
        assert answer.status_code == 200, answer.text


async def test_a_device_cannot_speak_in_the_journal_of_another(town: Town) -> None:
    bad = await registered(town)
    journal_id = await town.world.scalar("SELECT journal_id FROM report")
    before = await town.contents()
    count = await counted(town.world, "unlatch_reports_total", verdict="foreign_journal")

    async with speaking_as(town.world, bad.device) as client:
        for seq in (1, 2, 1_000):
            await say(client, bad.device, Channel.REPORT, bad.signed(bad.report(journal_id=journal_id, seq=seq)))
        await until_counted(town.world, "unlatch_reports_total", count + 2, verdict="foreign_journal")

    assert await town.contents() == before
    await goes_on(town)


async def test_a_device_that_answers_before_it_was_asked_is_dated_by_the_question(town: Town) -> None:
    bad = await registered(town)
    path = f"/v1/ops/devices/{bad.device}/commands"

    async with speaking_as(town.world, bad.device) as client:
        await say(client, bad.device, Channel.HEARTBEAT, bad.signed(bad.heartbeat(uptime_ms=MOST // 2)))
        asked = await until(
            lambda: town.world.ops("POST", path, action="identify", reason="a test"), lambda answer: answer.is_success
        )
        body = CommandReport(
            command_id=asked.json()["id"], action=Action.IDENTIFY, result=Result.DONE, accepted_uptime_ms=0
        )
        await say(client, bad.device, Channel.REPORT, bad.signed(bad.report(body=body)))
        shown = await until(
            lambda: town.world.ops("GET", f"/v1/ops/commands/{asked.json()['id']}"),
            lambda answer: not answer.is_success or answer.json()["state"] == "done",
        )

    assert shown.status_code == 200, shown.text
    assert shown.json()["accepted_at"] == shown.json()["ended_at"] == shown.json()["created_at"]
