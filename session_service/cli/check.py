"""`unlatch check`: whether this installation can serve, a line for each part."""

from __future__ import annotations

import socket
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from typing import Final

from session_service import keyring
from session_service.cli.common import Commands, add_command, ensure_current, read, say, settings_of
from session_service.errors import SetupError
from session_service.fleet import proofs
from session_service.fleet.tls import broker_context
from session_service.ledger import books
from session_service.secrets import load_secrets
from session_service.settings import Settings

BROKER_S: Final = 3.0  # a broker in the same city answers within 0.1 s
OTHERS: Final = 0o077  # the mode bits of everybody but the owner
PASSING: Final = 0o010  # the broker's user may go through a folder of ours to the certificates


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "check",
        _check,
        summary="see whether this installation can serve, and say what to do if not; exits 1 then",
        example="unlatch check\n  unlatch check --evidence",
    )
    parser.add_argument(
        "--evidence",
        action="store_true",
        help="instead, verify every charge and every release against the reports that devices have signed",
    )


def _check(arguments: Namespace) -> int:
    try:
        settings = settings_of(arguments)
    except SetupError as error:
        say(f"settings: {error}")
        return 1
    if arguments.evidence:
        return _evidence(settings)
    say("settings: OK")
    parts = {"secrets": _secrets, "database": _database, "ledger": _ledger, "broker": _broker}
    results = [_passes(name, part, settings) for name, part in parts.items()]
    return 0 if all(results) else 1


def _evidence(settings: Settings) -> int:
    findings = read(settings, partial(proofs.check, civil_speed=settings.civil_speed))
    for words in findings.violations:
        say(words)
    say(f"evidence: {len(findings.violations) or 'no'} violations ({findings.summary()})")
    return 1 if findings.violations else 0


def _passes(name: str, part: Callable[[Settings], str], settings: Settings) -> bool:
    try:
        say(f"{name}: OK ({part(settings)})")
    except SetupError as error:
        say(f"{name}: {error}")
        return False
    return True


def _secrets(settings: Settings) -> str:
    load_secrets(settings.secrets_dir)
    later_keys = (settings.secrets_dir / keyring.FOLDER).glob("*")
    for path in (settings.secrets_dir, *sorted(settings.secrets_dir.iterdir()), *sorted(later_keys)):
        if path.stat().st_mode & (OTHERS & ~PASSING if path.is_dir() else OTHERS):
            msg = f"Others can read {path}. Close it to them: chmod go= {path}"
            raise SetupError(msg)
    return str(settings.secrets_dir)


def _database(settings: Settings) -> str:
    ensure_current(settings.database_url)
    return settings.database_url.split(":", 1)[0]


def _ledger(settings: Settings) -> str:
    total, problems = read(settings, lambda c: (books.sum_minor(c), books.check(c)))
    if total or problems:
        msg = f"The books are wrong (sum {total}, {len(problems)} problems). See them: unlatch ledger check"
        raise SetupError(msg)
    return "sums to 0"


def _broker(settings: Settings) -> str:
    """Connect no further than TCP: as an MQTT client under the service's name we would push the service out."""
    broker_context(settings)
    address = (settings.broker_host, settings.broker_port)
    try:
        socket.create_connection(address, timeout=BROKER_S).close()
    except OSError as error:
        msg = (
            f"No broker at {address[0]}:{address[1]} ({error}). Start it, or set UNLATCH_BROKER_HOST and "
            "UNLATCH_BROKER_PORT."
        )
        raise SetupError(msg) from error
    return f"answers at {address[0]}:{address[1]}"
