"""What the commands share: their parsers, and units of work on the database."""

from __future__ import annotations

import asyncio
import getpass
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter, _SubParsersAction
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

import asyncpg
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from session_service import migrations
from session_service.database import Database, open_database
from session_service.errors import SetupError
from session_service.settings import Settings, load_settings
from session_service.writer_lock import writer_lock

T = TypeVar("T")
Commands: TypeAlias = "_SubParsersAction[ArgumentParser]"
Run = Callable[[Namespace], int]


def new_parser(*, description: str, example: str, **options: Any) -> ArgumentParser:  # noqa: ANN401 - as argparse
    """Return a parser whose help ends with an example."""
    return ArgumentParser(
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
        **options,
    )


def add_command(commands: Commands, name: str, run: Run, *, summary: str, example: str) -> ArgumentParser:
    """Add a command that takes `--database`; return its parser for more arguments."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"example:\n  {example}",
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    parser.add_argument("--database", metavar="URL", help="instead of UNLATCH_DATABASE_URL")
    return parser


def add_group(commands: Commands, name: str, *, summary: str, example: str = "") -> Commands:
    """Add a command that has commands of its own."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"example:\n  {example or f'unlatch {name} list --help'}",
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    group: Commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    return group


def say(text: str) -> None:
    """Print a line of the result, at once: who reads may be a program that waits for it."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Print a line of what went wrong."""
    sys.stderr.write(f"{text}\n")


def settings_of(arguments: Namespace) -> Settings:
    """Return the settings, with what the command line says instead.

    Raises:
        SetupError: one of them is wrong.
    """
    named = {"database_url": "database", "http_host": "host", "http_port": "port"}
    given = {name: getattr(arguments, option, None) for name, option in named.items()}
    return load_settings(**{name: value for name, value in given.items() if value is not None})


def actor() -> str:
    """Return who is at the keyboard, as the audit names them."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user without a name
        return "cli"


def write(settings: Settings, work: Callable[[Connection], T]) -> T:
    """Run one unit of work.

    Raises:
        SetupError: the database cannot be used, is not current, or the service is writing to it.
        Problem: as ``work`` raises it.
    """
    with writer_lock(settings.database_url):
        return _run(settings, lambda database: database.write(work))


def read(settings: Settings, work: Callable[[Connection], T]) -> T:
    """Run one unit of work that only reads.

    Raises:
        SetupError: the database cannot be used, or is not current.
        Problem: as ``work`` raises it.
    """
    return _run(settings, lambda database: database.read(work))


def ensure_current(url: str) -> None:
    """See that the database has the schema that this program needs, or one more during an upgrade.

    Raises:
        SetupError: it has not, or cannot be reached.
    """
    if not migrations.serves(url):
        msg = "The database does not have this program's schema. Bring it up to date: unlatch migrate"
        raise SetupError(msg)


def _run(settings: Settings, ask: Callable[[Database], Awaitable[T]]) -> T:
    ensure_current(settings.database_url)

    async def unit() -> T:
        database = open_database(settings.database_url)
        try:
            return await ask(database)
        finally:
            await database.close()

    try:
        return asyncio.run(unit())
    except (OSError, SQLAlchemyError, asyncpg.PostgresError) as error:
        msg = f"The database refused: {getattr(error, 'orig', None) or error}. Nothing was changed; see: unlatch check"
        raise SetupError(msg) from error
