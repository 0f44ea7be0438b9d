"""`unlatch operator`: who may use the API under /v1/ops, and what for."""

from __future__ import annotations

import getpass
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection

from session_service.access import MEANING, Role
from session_service.cli.common import Commands, actor, add_command, add_group, read, say, settings_of, write
from session_service.clock import rfc3339
from session_service.errors import SetupError
from session_service.operators import passwords, repository, service, totp
from session_service.operators.model import Operator
from session_service.operators.schemas import MAX_NAME_CHARS
from session_service.operators.service import By
from session_service.secrets import load_secrets
from session_service.settings import Settings, clock_of

Change = Callable[[Connection, Operator, By], None]


def add_to(commands: Commands) -> None:
    """Add the commands."""
    group = add_group(commands, "operator", summary="manage who may use the API under /v1/ops")
    _add_add(group)
    add_command(group, "list", _list, summary="list the operators", example="unlatch operator list")
    role = _about_one(group, "set-role", _set_role, "say what an operator may do", " technician")
    role.add_argument("role", metavar="ROLE", type=Role, choices=list(Role), help=f"one of: {', '.join(Role)}")
    password = _about_one(group, "set-password", _set_password, "give a person a password, or another one")
    _add_password_file(password)
    code = _about_one(group, "totp", _totp, "ask a person for one-time codes of an authenticator app, too")
    code.add_argument("--off", action="store_true", help="ask for none any more, as when the telephone is lost")
    _about_one(group, "revoke", _revoke, "let an operator do nothing from now on: tokens and sign-ins end")


def _add_add(group: Commands) -> None:
    add = add_command(
        group,
        "add",
        _add,
        summary="add a program and print its token, which is shown only now, or a person who signs in with a password",
        example="unlatch operator add Ada --role technician --password",
    )
    add.add_argument("name", metavar="NAME", type=_name)
    meanings = "; ".join(f"{role}: {MEANING[role]}" for role in Role)
    add.add_argument(
        "--role",
        type=Role,
        choices=list(Role),
        metavar="ROLE",
        help=f"{meanings}. The first operator of all is an admin, any other a viewer unless you say otherwise",
    )
    add.add_argument("--password", action="store_true", help="a person: ask for the password, and make no token")
    _add_password_file(add)


def _about_one(
    group: Commands, name: str, run: Callable[[Namespace], int], summary: str, rest: str = ""
) -> ArgumentParser:
    example = f"unlatch operator {name} Ada{rest}"
    parser = add_command(group, name, run, summary=summary, example=example)
    parser.add_argument("name", metavar="NAME", type=_name)
    return parser


def _add_password_file(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--password-file", metavar="FILE", help="a person: the password is this file's first line; - is the input"
    )


def _name(text: str) -> str:
    if not 1 <= len(text) <= MAX_NAME_CHARS or not text.isprintable():
        msg = f"a name has 1 to {MAX_NAME_CHARS} printable characters"
        raise ArgumentTypeError(msg)
    return text


def _add(arguments: Namespace) -> int:
    settings, name, role = settings_of(arguments), arguments.name, arguments.role
    by = _by(settings)
    if arguments.password or arguments.password_file:
        hashed = passwords.hashed(_password(arguments), name)
        added = write(settings, lambda c: service.add_person(c, name, hashed, role, by))
        say(f"{name} is {added.role} and signs in with the password: POST /v1/ops/sign-ins")
        return 0
    _, token = write(
        settings,
        lambda c: service.add(c, name, actor=by.actor, now_ms=by.now_ms, role=role, cell=settings.cell),
    )
    say(token)  # alone on its line, for scripts
    return 0


def _list(arguments: Namespace) -> int:
    for operator in read(settings_of(arguments), repository.all_of_them):
        until = f"revoked {rfc3339(operator.revoked_at_ms)}" if operator.revoked_at_ms is not None else "active"
        since = rfc3339(operator.created_at_ms)
        say(f"{operator.id}  {since}  {until:<32}  {operator.role:<10}  {_shows(operator):<13}  {operator.name}")
    return 0


def _shows(operator: Operator) -> str:
    if operator.password_hash is None:
        return "token"
    return "password+code" if operator.totp_secret is not None else "password"


def _set_role(arguments: Namespace) -> int:
    _change(arguments, lambda c, operator, by: service.set_role(c, operator, arguments.role, by))
    say(f"{arguments.name} is {arguments.role} now.")
    return 0


def _set_password(arguments: Namespace) -> int:
    hashed = passwords.hashed(_password(arguments), arguments.name)
    _change(arguments, lambda c, operator, by: service.set_password(c, operator, hashed, by))
    say(f"{arguments.name} signs in with the new password; sign-ins with an old one have ended.")
    return 0


def _totp(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    box = totp.box(load_secrets(settings.secrets_dir).token_secret)
    secret = None if arguments.off else totp.new_secret()
    _change(arguments, lambda c, operator, by: service.set_totp(c, operator, secret, box, by))
    if secret is None:
        say(f"{arguments.name} signs in without a code.")
    else:
        say(totp.address(secret, arguments.name, settings.cell))  # alone on its line, for a QR code's maker
    return 0


def _revoke(arguments: Namespace) -> int:
    _change(arguments, service.revoke)
    say(f"{arguments.name} can do nothing any more.")
    return 0


def _change(arguments: Namespace, change: Change) -> None:
    settings = settings_of(arguments)
    by = _by(settings)
    write(settings, lambda c: change(c, service.named(c, arguments.name), by))


def _by(settings: Settings) -> By:
    return By(actor(), clock_of(settings).now_ms())


def _password(arguments: Namespace) -> str:
    """Return the password from the file that was named, or from the keyboard.

    Raises:
        SetupError: there is none, or the two that were typed differ.
    """
    if arguments.password_file:
        return _first_line(arguments.password_file)
    first = getpass.getpass(f"Password of {arguments.name}: ")
    if first != getpass.getpass("The same again: "):
        msg = "The two passwords differ. Nothing was changed; try again."
        raise SetupError(msg)
    return first


def _first_line(file: str) -> str:
    try:
        text = sys.stdin.readline() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"Cannot read the password ({error}). Name a file whose first line it is: --password-file FILE"
        raise SetupError(msg) from error
    return text.partition("\n")[0]
