"""`unlatch keys`: change the keys that sign commands. A running service follows by itself, within seconds."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.contract import keys
from session_service import keyring
from session_service.cli.common import Commands, actor, add_command, add_group, read, say, settings_of
from session_service.clock import rfc3339
from session_service.errors import SetupError
from session_service.keyring import By, Keyring, KeyringError, KeyState
from session_service.keys import service
from session_service.keys.service import Standing
from session_service.secrets import load_secrets
from session_service.settings import Settings, clock_of

REASON: Final = "for the audit: why"


def add_to(commands: Commands) -> None:
    """Add the commands."""
    group = add_group(commands, "keys", summary="change the keys that sign what devices obey")
    add_command(
        group,
        "list",
        _list,
        summary="list the keys, and how many devices obey those that are listed to them",
        example="unlatch keys list",
    )
    _changing(
        group,
        "rotate",
        _rotate,
        summary="make the next key; devices are told to obey it beside the present ones",
        example="unlatch keys rotate --reason 'the yearly change'",
    )
    activate = _changing(
        group,
        "activate",
        _activate,
        summary="sign with another key that devices obey: the newest, or KEY_ID",
        example="unlatch keys activate",
    )
    retire = _changing(
        group,
        "retire",
        _retire,
        summary="tell devices to obey a key no more: the only one that does not sign, or KEY_ID",
        example="unlatch keys retire",
    )
    for parser in (activate, retire):
        parser.add_argument("key_id", metavar="KEY_ID", nargs="?")
        parser.add_argument("--force", action="store_true", help="even if devices in service are not ready for it")
    remove = _changing(
        group,
        "remove",
        _remove,
        summary="give up a key that others may have: devices refuse it from now on, and its file is deleted",
        example="unlatch keys remove --emergency 2pVEzrxGPlALWhHb --reason 'laptop stolen'",
    )
    remove.add_argument("key_id", metavar="KEY_ID")
    remove.add_argument(
        "--emergency", action="store_true", required=True, help="confirm; a key in order is retired instead"
    )


def _changing(
    group: Commands, name: str, run: Callable[[Namespace], int], *, summary: str, example: str
) -> ArgumentParser:
    parser = add_command(group, name, run, summary=summary, example=example)
    parser.add_argument("--reason", metavar="TEXT", default="", help=REASON)
    return parser


def _list(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    ring = load_secrets(settings.secrets_dir).command_keys.ring
    for entry in ring.keys:
        made = rfc3339(entry.made_at_ms) if entry.made_at_ms else "with the installation"
        say(f"{entry.key_id}  {entry.state:<8}  {made}")
    say(_words(_standing(settings, ring)))
    return 0


def _rotate(arguments: Namespace) -> int:
    key = keys.new_command_key()
    key_id = keys.key_id(key.public_key())
    settings = settings_of(arguments)
    _change(settings, lambda ring: ring.rotated(key_id, _by(settings, arguments)), key)
    say(f"made {key_id}; devices are told to obey it. When they do, sign with it: unlatch keys activate")
    return 0


def _activate(arguments: Namespace) -> int:
    settings = settings_of(arguments)

    def to(ring: Keyring) -> Keyring:
        key_id = arguments.key_id or ring.newest_trusted().key_id
        changed = ring.activated(key_id, _by(settings, arguments))
        _ensure_ready(settings, ring, force=arguments.force)
        return changed

    ring = _change(settings, to)
    say(f"{ring.current.key_id} signs now. Devices still obey the former one, until: unlatch keys retire")
    return 0


def _retire(arguments: Namespace) -> int:
    settings = settings_of(arguments)

    def to(ring: Keyring) -> Keyring:
        key_id = arguments.key_id or ring.only_trusted().key_id
        changed = ring.retired(key_id, _by(settings, arguments))
        _ensure_ready(settings, ring, force=arguments.force)
        return changed

    ring = _change(settings, to)
    say(f"{ring.changes[-1].key_id} is retired; devices are told to refuse it. It is kept for those that are away.")
    return 0


def _remove(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    ring = _change(settings, lambda before: before.removed(arguments.key_id, _by(settings, arguments)))
    say(f"{arguments.key_id} is deleted; {ring.current.key_id} signs now, and devices are told to refuse the other.")
    say("A device that obeys no other key raises the alert command_keys: enrol it anew. See: unlatch keys list")
    return 0


def _change(settings: Settings, to: Callable[[Keyring], Keyring], new: Ed25519PrivateKey | None = None) -> Keyring:
    """Change the keyring on the disk and return it.

    Raises:
        KeyringError: the keys do not allow it.
        SetupError: they cannot be read or written.
    """
    folder: Path = settings.secrets_dir
    with keyring.alone(folder):
        changed = to(load_secrets(folder).command_keys.ring)
        try:
            keyring.write(folder, changed, new)
        except OSError as error:
            msg = f"Cannot write the keys ({error}). Nothing was changed; see who may write in {folder}"
            raise SetupError(msg) from error
    return changed


def _by(settings: Settings, arguments: Namespace) -> By:
    return By(actor(), clock_of(settings).now_ms(), arguments.reason)


def _ensure_ready(settings: Settings, ring: Keyring, *, force: bool) -> None:
    """See that every device in service obeys what is listed.

    Raises:
        KeyringError: some do not, and nobody forces it.
    """
    if force:
        return
    standing = _standing(settings, ring)
    if standing.confirmed < standing.in_service:
        missing = standing.in_service - standing.confirmed
        msg = (
            f"{missing} of {standing.in_service} devices in service have not confirmed the keys that are listed now. "
            "Wait for them while the service runs, or put --force: those that are missing are reached later."
        )
        raise KeyringError(msg, missing=missing)


def _standing(settings: Settings, ring: Keyring) -> Standing:
    return read(settings, partial(service.standing, ring=ring))


def _words(standing: Standing) -> str:
    others = f"; {standing.others_missing} others do not yet" if standing.others_missing else ""
    listed = f"{KeyState.CURRENT} and {KeyState.TRUSTED}"
    return f"{standing.confirmed} of {standing.in_service} devices in service obey what is {listed}{others}."
