"""The prose of the contract holds against its code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from broker.contract import keys
from broker.contract.codes import Action, Cause, Fault, Reason, Result
from broker.contract.envelope import Rejection, open_sealed
from broker.contract.messages import (
    MAX_COMMAND_KEYS,
    MAX_MESSAGE_BYTES,
    VERSION,
    BoltReport,
    BootReport,
    Command,
    CommandReport,
    Config,
    FaultReport,
    Heartbeat,
    Message,
    MovedReport,
    Presence,
    Report,
    ReportAck,
)
from broker.contract.topics import RULES, Channel, topic

TEXT = (Path(__file__).parents[2] / "broker" / "README.md").read_text()
SECTIONS = dict(re.findall(r"^###? (\w+).*?\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL))
TYPES: dict[str, type[Message | Presence]] = {
    "Command": Command,
    "Report": Report,
    "Acknowledgement": ReportAck,
    "Heartbeat": Heartbeat,
    "Configuration": Config,
    "Presence": Presence,
}


def examples(section: str) -> list[str]:
    return re.findall(r"```json\n(.*?)```", SECTIONS[section], re.DOTALL)


def first_cells(section: str) -> list[str]:
    """What stands in backticks in the first column of the section's tables."""
    return re.findall(r"^\| `([^`]+)` \|", SECTIONS[section], re.MULTILINE)


@pytest.mark.parametrize(
    ("section", "example"), [(section, example) for section in TYPES for example in examples(section)]
)
def test_an_example_decodes_and_has_no_field_that_the_code_does_not_know(section: str, example: str) -> None:
    message = msgspec.json.decode(example, type=TYPES[section])
    assert json.loads(msgspec.json.encode(message)) == json.loads(example)


def test_there_is_an_example_of_every_kind() -> None:
    assert all(examples(section) for section in TYPES)
    bodies = {type(msgspec.json.decode(example, type=Report).body) for example in examples("Report")}
    assert bodies == {CommandReport, BoltReport, BootReport, MovedReport, FaultReport}


def test_the_envelope_opens_with_the_key_beside_it_and_holds_the_first_command() -> None:
    token, header = re.findall(r"```\n(.*?)\n```", SECTIONS["Envelope"], re.DOTALL)[:2]
    key = keys.load_public(re.findall(r"-----BEGIN.*?END PUBLIC KEY-----", TEXT, re.DOTALL)[0])
    kid = json.loads(header)["kid"]
    assert kid == keys.key_id(key)
    command = open_sealed(token.encode(), Command, {kid: key}.get)
    assert command == msgspec.json.decode(examples("Command")[0], type=Command)
    assert f"{MAX_MESSAGE_BYTES:,} bytes" in SECTIONS["Envelope"]


def test_the_table_of_topics_is_the_one_in_the_code() -> None:
    rows = re.findall(r"^\| `u1/\{device\}/(\w+)` \| (\w+) \| (\d) \| (\d) \| (\w+) \|", TEXT, re.MULTILINE)
    assert rows == [
        (channel, rule.sender, str(rule.publish_qos), str(rule.subscribe_qos), "yes" if rule.retain else "no")
        for channel, rule in RULES.items()
    ]
    assert topic("7K3M9QXA2B", Channel.COMMAND) == "u1/7K3M9QXA2B/cmd"


def test_every_word_of_the_wire_is_explained() -> None:
    assert set(first_cells("Report")) - {"result", "reason"} == {*Result, *Reason}
    assert first_cells("Bad") == list(Rejection)
    for word in [*Action, *Cause, *Fault]:
        assert f"`{word}`" in TEXT


def test_the_kinds_and_the_version_are_the_codes() -> None:
    for kind in (Command, Report, ReportAck, Heartbeat, Config):
        assert f"`{kind.TYPE}`" in SECTIONS["Envelope"]
    assert f"`version` in the payload is {VERSION}." in SECTIONS["Versions"]


def test_the_keys_of_the_example_are_keys_under_their_own_ids() -> None:
    config = msgspec.json.decode(examples("Configuration")[0], type=Config)
    assert keys.load_command_keys(config.command_keys).keys() == config.command_keys.keys()
    assert f"1 to {MAX_COMMAND_KEYS} public" in SECTIONS["Configuration"]
