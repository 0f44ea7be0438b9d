"""`unlatch migrate` and `unlatch secrets`: what is done before the first start."""

from __future__ import annotations

from argparse import Namespace

from session_service.cli.common import Commands, add_command, say, settings_of
from session_service.errors import SetupError
from session_service.migrations import migrate
from session_service.secrets import make_secrets
from session_service.writer_lock import writer_lock


def add_to(commands: Commands) -> None:
    """Add the commands."""
    add_command(
        commands,
        "migrate",
        _migrate,
        summary="make the database's tables, or bring them up to date",
        example="unlatch migrate --database sqlite:////var/lib/unlatch/unlatch.db",
    )
    add_command(
        commands,
        "secrets",
        _secrets,
        summary="make the secret files that are missing, in the folder UNLATCH_SECRETS_DIR",
        example="UNLATCH_SECRETS_DIR=/etc/unlatch/secrets unlatch secrets",
    )


def _migrate(arguments: Namespace) -> int:
    url = settings_of(arguments).database_url
    with writer_lock(url):
        say(f"The database has schema {migrate(url)}.")
    return 0


def _secrets(arguments: Namespace) -> int:
    folder = settings_of(arguments).secrets_dir
    try:
        made = make_secrets(folder)
    except OSError as error:
        msg = f"Cannot write the secrets ({error}). Choose another folder: UNLATCH_SECRETS_DIR"
        raise SetupError(msg) from error
    for path in made:
        say(f"made {path}")
    if not made:
        say(f"Nothing is missing in {folder}.")
    return 0
