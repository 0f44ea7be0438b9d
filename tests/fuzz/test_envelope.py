"""Signed messages that are not quite: one of the documented rejections, or a message whose every field is in bounds."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable
from typing import Any, Final

import msgspec
import pytest

from broker.contract import jws
from broker.contract.codes import Action, Bolt, Cause, Reason, Result
from broker.contract.enrolment import Renewal
from broker.contract.envelope import RejectedError, Rejection, open_sealed, sign
from broker.contract.jws import PrivateKey
from broker.contract.keys import key_id, new_command_key, new_report_key, public_pem
from broker.contract.messages import (
    MAX_MESSAGE_BYTES,
    BoltReport,
    Command,
    CommandReport,
    Config,
    Heartbeat,
    Message,
    Position,
    Report,
    ReportAck,
    Status,
)
from tests.support import mutations
from tests.support.fuzzing import MIB, Area, Fuzzing

DEVICE: Final = "0123456789"
BOOT: Final = "boot-0123456789"
COMMAND_KEY: Final = new_command_key()
REPORT_KEY: Final = new_report_key()
FOREIGN: Final[tuple[PrivateKey, ...]] = (new_command_key(), new_report_key())
KEYS: Final = {key_id(key.public_key()): key.public_key() for key in (COMMAND_KEY, REPORT_KEY)}
STATUS: Final = Status(bolt=Bolt.CLOSED, battery_percent=50, position=Position(lat=48.2, lon=16.4))
CORPUS: Final[tuple[tuple[Message, PrivateKey], ...]] = (
    (
        Command(
            version=1,
            id="command-000001",
            device=DEVICE,
            action=Action.UNLOCK,
            boot_id=BOOT,
            expires_uptime_ms=9_000,
            exp=1_900_000_000,
        ),
        COMMAND_KEY,
    ),
    (
        Config(
            version=1,
            device=DEVICE,
            revision=7,
            command_keys={key_id(COMMAND_KEY.public_key()): public_pem(COMMAND_KEY.public_key())},
        ),
        COMMAND_KEY,
    ),
    (ReportAck(version=1, device=DEVICE, journal_id="journal-000001", acked_through=5), COMMAND_KEY),
    (
        Report(
            version=1,
            device=DEVICE,
            journal_id="journal-000001",
            seq=1,
            boot_id=BOOT,
            uptime_ms=1_000,
            status=STATUS,
            body=CommandReport(
                command_id="command-000001",
                action=Action.UNLOCK,
                result=Result.REFUSED,
                accepted_uptime_ms=900,
                reason=Reason.JAMMED,
            ),
        ),
        REPORT_KEY,
    ),
    (
        Report(
            version=1,
            device=DEVICE,
            journal_id="journal-000001",
            seq=2,
            boot_id=BOOT,
            uptime_ms=2_000,
            status=STATUS,
            body=BoltReport(cause=Cause.HAND),
        ),
        REPORT_KEY,
    ),
    (
        Heartbeat(
            version=1,
            device=DEVICE,
            boot_id=BOOT,
            uptime_ms=1_000,
            journal_id="journal-000001",
            last_seq=3,
            outbox_depth=0,
            status=STATUS,
            agent_version="0.1",
        ),
        REPORT_KEY,
    ),
    (Renewal(version=1, device=DEVICE, csr_pem="-----BEGIN CERTIFICATE REQUEST-----\n"), REPORT_KEY),
)
TOKENS: Final = tuple(sign(message, key, key_id(key.public_key())) for message, key in CORPUS)
CONTENTS: Final[tuple[Any, ...]] = tuple(msgspec.to_builtins(message) for message, _ in CORPUS)
ID: Final = re.compile(r"[0-9A-Za-z-]{10,36}")
DEVICE_ID: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{10}")
MOST: Final = 2**53 - 1
GROWTH_MAX_BYTES: Final = 24 * MIB  # nothing is kept; the interpreter's arenas and 4 kB messages come and go

Way = Callable[[random.Random, int], bytes]


def altered(chance: random.Random, which: int) -> bytes:
    return mutations.bytes_of(chance, TOKENS[which], chance.choice(TOKENS))


def a_part_altered(chance: random.Random, which: int) -> bytes:
    parts = TOKENS[which].split(b".")
    place = chance.randrange(3)
    inner = mutations.bytes_of(chance, base64.urlsafe_b64decode(parts[place] + b"=="))
    parts[place] = _base64url(inner)
    return b".".join(parts)


def headed_otherwise(chance: random.Random, which: int) -> bytes:
    """Signed by the right key under another header."""
    _, key = CORPUS[which]
    header, payload, _ = TOKENS[which].split(b".")
    content = json.loads(base64.urlsafe_b64decode(header + b"=="))
    if chance.random() < 0.5:
        content["alg"] = chance.choice(("none", "None", "HS256", "ES256", "EdDSA", "", 1, None))
    else:
        content = msgspec.Raw(mutations.json_of(chance, content))
    encoded = bytes(content) if isinstance(content, msgspec.Raw) else json.dumps(content).encode()
    signed = _base64url(encoded) + b"." + payload
    return signed + b"." + _base64url(jws._sign(signed, key))


def said_otherwise(chance: random.Random, which: int) -> bytes:
    """Signed by the right key, with another content: what a broken or stolen device can send."""
    message, key = CORPUS[which]
    payload = mutations.json_of(chance, CONTENTS[which], CONTENTS)
    return jws.seal(payload, key, typ=message.TYPE, kid=key_id(key.public_key()))


def by_a_foreign_key(chance: random.Random, which: int) -> bytes:
    message, key = CORPUS[which]
    foreign = chance.choice(FOREIGN)
    kid = chance.choice((key_id(key.public_key()), key_id(foreign.public_key()), "", mutations.text_of(chance, "k")))
    return jws.seal(msgspec.json.encode(message), foreign, typ=message.TYPE, kid=kid.encode(errors="replace").decode())


def untouched(_: random.Random, which: int) -> bytes:
    return TOKENS[which]


def noise(chance: random.Random, _: int) -> bytes:
    return chance.randbytes(chance.choice((0, 1, 3, 50, 4_096, 4_097)))


WAYS: Final[tuple[Way, ...]] = (
    altered, altered, a_part_altered, headed_otherwise, said_otherwise, said_otherwise, by_a_foreign_key, untouched,
    noise,
)  # fmt: skip
SIGNED: Final = (headed_otherwise, said_otherwise, untouched)


def test_a_strange_envelope_is_rejected_or_holds_a_message_in_bounds() -> None:
    with Fuzzing(Area.ENVELOPE, growth_max_bytes=GROWTH_MAX_BYTES) as run:
        for chance in run:
            which = chance.randrange(len(CORPUS))
            way = chance.choice(WAYS)
            token = way(chance, which)
            expected = type(CORPUS[which if chance.random() < 0.9 else chance.randrange(len(CORPUS))][0])
            try:
                found = open_sealed(token, expected, KEYS.get)
            except RejectedError as rejected:
                run.outcomes[rejected.reason] += 1
                continue
            assert way in SIGNED or token in TOKENS, f"taken, but nobody signed it: {token!r}"
            ensure_in_bounds(found, expected, token)
            run.outcomes["taken"] += 1
        run.saw(
            "taken",
            *(set(Rejection) - {Rejection.RETAINED, Rejection.OLD_REVISION, Rejection.WRONG_DEVICE}),  # others' to find
        )


@pytest.mark.parametrize("name", ["device", "id", "boot_id"])
def test_an_id_has_no_line_feed_at_its_end(name: str) -> None:
    content = msgspec.to_builtins(CORPUS[0][0])
    content[name] += "\n"
    token = jws.seal(msgspec.json.encode(content), COMMAND_KEY, typ=Command.TYPE, kid=next(iter(KEYS)))
    with pytest.raises(RejectedError, match="malformed"):
        open_sealed(token, Command, KEYS.get)


def ensure_in_bounds(found: Message, expected: type[Message], token: bytes) -> None:
    assert type(found) is expected
    assert len(token) <= MAX_MESSAGE_BYTES
    assert found.version == 1, found
    for name, value in _leaves(msgspec.to_builtins(found)):
        if name == "device":
            assert DEVICE_ID.fullmatch(value), found
        elif name.endswith("id"):
            assert ID.fullmatch(value), found
        elif isinstance(value, int) and not isinstance(value, bool):
            assert 0 <= value <= MOST or name in {"lat", "lon"}, found
        elif isinstance(value, float):
            assert abs(value) <= 1e308, found
    assert msgspec.json.decode(msgspec.json.encode(found), type=expected) == found


def _leaves(tree: Any, name: str = "") -> list[tuple[str, Any]]:
    if isinstance(tree, dict):
        # Names and texts of keys are for who loads them to judge.
        return [leaf for key, part in tree.items() if key != "command_keys" for leaf in _leaves(part, str(key))]
    return [(name, tree)]


def _base64url(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")
