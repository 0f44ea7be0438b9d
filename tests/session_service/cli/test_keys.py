from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import pytest

from session_service import keyring
from session_service.cli import check
from session_service.cli.common import settings_of, write
from session_service.errors import SetupError
from session_service.keyring import FOLDER, KEYRING, KeyState
from session_service.settings import Settings
from tests.session_service.cli.running import Unlatch

SECRETS = Path("secrets")


def states() -> dict[str, str]:
    return {entry.key_id: str(entry.state) for entry in keyring.read(SECRETS).keys}


def current() -> str:
    return keyring.read(SECRETS).current.key_id


def add_device(installed: Unlatch, number: int = 17) -> str:
    """Register a device that has been heard of, with the keys of now; return its id."""
    said = installed("device", "add", "--kind", "bike", "--number", str(number))
    assert said.status == 0, said.err
    device: str = json.loads(said.out)["device_id"]
    execute(f"UPDATE device_state SET seen_at_ms = 1 WHERE device_id = '{device}'")  # noqa: S608
    return device


def execute(statement: str) -> None:
    write(settings_of(Namespace()), lambda c: c.exec_driver_sql(statement) and None)


def test_the_whole_change(installed: Unlatch) -> None:
    old = current()
    made = installed("keys", "rotate", "--reason", "the yearly change")
    assert made.status == 0
    new = next(key_id for key_id in states() if key_id != old)
    assert new in made.out
    assert states() == {old: "current", new: "trusted"}
    assert installed("keys", "activate").status == 0
    assert states() == {old: "trusted", new: "current"}
    assert installed("keys", "retire").status == 0
    assert states() == {old: "retired", new: "current"}
    listed = installed("keys", "list")
    assert listed.status == 0
    assert [line.split()[:2] for line in listed.out.splitlines()[:2]] == [[old, "retired"], [new, "current"]]
    assert "0 of 0 devices in service" in listed.out
    changes = keyring.read(SECRETS).changes
    assert [change.action for change in changes] == ["keys.rotate", "keys.activate", "keys.retire"]
    assert changes[0].by.why == "the yearly change"
    assert all(change.by.actor.startswith("cli") for change in changes)


def test_all_key_files_are_for_their_owner_only(installed: Unlatch) -> None:
    installed("keys", "rotate")
    paths = [SECRETS / FOLDER, *(SECRETS / FOLDER).iterdir()]
    assert {path.name for path in paths} == {FOLDER, KEYRING, "2.pem"}
    assert {path.stat().st_mode & 0o077 for path in paths} == {0}
    (SECRETS / FOLDER / "2.pem").chmod(0o640)
    with pytest.raises(SetupError, match=r"chmod go= secrets/command-keys/2\.pem"):
        check._secrets(Settings())


@pytest.mark.parametrize("command", ["activate", "retire"])
def test_what_devices_in_service_are_not_ready_for_is_refused_unless_forced(installed: Unlatch, command: str) -> None:
    add_device(installed)
    add_device(installed, 18)
    installed("keys", "rotate")
    before = states()
    said = installed("keys", command)
    assert said.status == 1
    assert "2 of 2 devices in service have not confirmed" in said.err
    assert states() == before
    assert installed("keys", command, "--force").status == 0
    assert states() != before


@pytest.mark.parametrize(
    "change", ["UPDATE device SET service = 'maintenance'", "UPDATE device_state SET seen_at_ms = NULL"]
)
def test_a_device_on_which_nobody_waits_is_no_hindrance(installed: Unlatch, change: str) -> None:
    add_device(installed)
    execute(change)
    installed("keys", "rotate")
    assert "0 of 0 devices in service obey what is current and trusted; 1 others" in installed("keys", "list").out
    assert installed("keys", "activate").status == 0


def test_a_lost_key_is_deleted_and_another_signs(installed: Unlatch) -> None:
    lost = current()
    assert installed("keys", "remove", "--emergency", lost).status == 1  # there is no other
    installed("keys", "rotate")
    assert installed("keys", "remove", lost).status == 2
    assert (SECRETS / "command-key.pem").exists()
    assert installed("keys", "remove", "--emergency", lost).status == 0
    assert states()[lost] == KeyState.REMOVED
    assert current() != lost
    assert not (SECRETS / "command-key.pem").exists()
    assert installed("secrets").out == "Nothing is missing in secrets.\n"
    assert installed("keys", "list").status == 0


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (("activate",), "unlatch keys rotate"),
        (("retire",), "unlatch keys rotate"),
        (("activate", "AAAAAAAAAAAAAAAA"), "unlatch keys list"),
        (("remove", "--emergency", "AAAAAAAAAAAAAAAA"), "unlatch keys list"),
    ],
)
def test_a_refusal_says_what_to_do(installed: Unlatch, command: tuple[str, ...], hint: str) -> None:
    said = installed("keys", *command)
    assert (said.status, said.out) == (1, "")
    assert hint in said.err
    assert len(said.err.splitlines()) == 1
    assert not (SECRETS / FOLDER).exists()


def test_the_key_that_signs_is_not_retired(installed: Unlatch) -> None:
    installed("keys", "rotate")
    said = installed("keys", "retire", current())
    assert said.status == 1
    assert "is trusted" in said.err


def test_devices_obey_four_keys_at_the_most(installed: Unlatch) -> None:
    assert [installed("keys", "rotate").status for _ in range(4)] == [0, 0, 0, 1]
    said = installed("keys", "retire")
    assert said.status == 1
    assert "Say which one" in said.err


def test_two_who_change_keys_at_once_do_not_lose_a_change(installed: Unlatch) -> None:
    with keyring.alone(Settings().secrets_dir):
        said = installed("keys", "rotate")
    assert said.status == 1
    assert "Somebody else" in said.err
