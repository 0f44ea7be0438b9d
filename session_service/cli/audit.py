"""`unlatch audit`: who did what, and whether that record is whole."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from typing import Final

from session_service.audit import AuditRow, repository
from session_service.audit.chain import FIRST_ID
from session_service.audit.verify import verify
from session_service.cli.common import Commands, add_command, add_group, complain, read, say, settings_of
from session_service.clock import rfc3339

HASH_CHARS: Final = 64
LIST_MAX: Final = 10_000  # lines that a person, or a pipe, is sent at once


def add_to(commands: Commands) -> None:
    """Add the commands."""
    group = add_group(commands, "audit", summary="read the audit, and see that nobody has changed it")
    _add_verify(group)
    rows = add_command(
        group,
        "list",
        _list,
        summary="list who did what, newest first",
        example="unlatch audit list --subject device:4Q7PK2M0ZT",
    )
    rows.add_argument("--subject", metavar="KIND:ID", help="what was changed, such as device:4Q7PK2M0ZT")
    rows.add_argument("--actor", metavar="KIND:ID", help="who did it, such as operator:ID or rule:cleaning")
    rows.add_argument("--before", metavar="ID", type=_row_id, help="only rows older than this one")
    rows.add_argument("--limit", metavar="N", type=_limit, default=100, help="at most so many (100)")
    add_command(
        group,
        "head",
        _head,
        summary="print the newest hash, to be kept where nobody who can write to the database can write. That the "
        "newest rows were removed, or all of them written anew, can be noticed with such a hash only",
        example="unlatch audit head",
    )


def _add_verify(group: Commands) -> None:
    checked = add_command(
        group,
        "verify",
        _verify,
        summary="check every row's hash and its place in the chain; exits 1 if it is broken. That the newest rows were "
        "removed can be noticed only with a hash that was kept elsewhere: see unlatch audit head",
        example="unlatch audit verify --head 6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b",
    )
    checked.add_argument(
        "--from", dest="from_id", metavar="ID", type=_row_id, default=FIRST_ID, help="begin at this row"
    )
    checked.add_argument("--head", metavar="HASH", type=_hash, help="a hash that was the newest once; it must be there")


def _row_id(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not FIRST_ID <= int(text) < 1 << 31:
        msg = f"a row's id is a number from {FIRST_ID} on"
        raise ArgumentTypeError(msg)
    return int(text)


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= LIST_MAX:
        msg = f"a list has 1 to {LIST_MAX} rows"
        raise ArgumentTypeError(msg)
    return int(text)


def _hash(text: str) -> str:
    if len(text) != HASH_CHARS or not set(text.lower()) <= set("0123456789abcdef"):
        msg = f"a hash has {HASH_CHARS} hexadecimal digits, as unlatch audit head prints them"
        raise ArgumentTypeError(msg)
    return text.lower()


def _verify(arguments: Namespace) -> int:
    verdict = read(settings_of(arguments), lambda c: verify(c, from_id=arguments.from_id, head=arguments.head))
    for found in verdict.breaks:
        complain(found)
    if verdict.broken > len(verdict.breaks):
        complain(f"and {verdict.broken - len(verdict.breaks)} more")
    say(f"right={verdict.right} broken={verdict.broken} head={verdict.head}")
    return 0 if verdict.is_whole else 1


def _list(arguments: Namespace) -> int:
    wanted = {"subject": arguments.subject, "actor": arguments.actor, "before_id": arguments.before}
    for row in read(settings_of(arguments), lambda c: repository.newest(c, limit=arguments.limit, **wanted)):
        say(_line(row))
    return 0


def _line(row: AuditRow) -> str:
    return f"{row.id}  {rfc3339(row.at_ms)}  {row.actor}  {row.action}  {row.subject}  {row.why}".rstrip()


def _head(arguments: Namespace) -> int:
    say(read(settings_of(arguments), repository.head)[1])  # alone on its line, for scripts
    return 0
