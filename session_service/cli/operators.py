"""`unlatch operator`: who may use the API under /v1/ops."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace

from session_service.cli.common import Commands, actor, add_command, add_group, clock_of, read, say, settings_of, write
from session_service.clock import rfc3339
from session_service.operators import repository, service

MAX_NAME_CHARS = 60  # fits a line of the list


def add_to(commands: Commands) -> None:
    """Add the commands."""
    group = add_group(commands, "operator", summary="manage who may use the API under /v1/ops")
    add = add_command(
        group,
        "add",
        _add,
        summary="add an operator and print the token, which is shown only now",
        example="unlatch operator add Ada",
    )
    add.add_argument("name", metavar="NAME", type=_name)
    add_command(group, "list", _list, summary="list the operators", example="unlatch operator list")
    revoke = add_command(
        group,
        "revoke",
        _revoke,
        summary="make an operator's token open nothing from now on",
        example="unlatch operator revoke Ada",
    )
    revoke.add_argument("name", metavar="NAME", type=_name)


def _name(text: str) -> str:
    if not 1 <= len(text) <= MAX_NAME_CHARS or not text.isprintable():
        msg = f"a name has 1 to {MAX_NAME_CHARS} printable characters"
        raise ArgumentTypeError(msg)
    return text


def _add(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    now_ms = clock_of(settings).now_ms()
    _, token = write(settings, lambda c: service.add(c, arguments.name, actor=actor(), now_ms=now_ms))
    say(token)  # alone on its line, for scripts
    return 0


def _list(arguments: Namespace) -> int:
    for operator in read(settings_of(arguments), repository.all_of_them):
        until = f"revoked {rfc3339(operator.revoked_at_ms)}" if operator.revoked_at_ms is not None else "active"
        say(f"{operator.id}  {rfc3339(operator.created_at_ms)}  {until:<32}  {operator.name}")
    return 0


def _revoke(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    now_ms = clock_of(settings).now_ms()
    write(settings, lambda c: service.revoke(c, arguments.name, actor=actor(), now_ms=now_ms))
    say(f"The token of {arguments.name} opens nothing any more.")
    return 0
