"""`unlatch ledger`: the books."""

from __future__ import annotations

from argparse import Namespace

from session_service.cli.common import Commands, add_command, add_group, complain, read, say, settings_of
from session_service.ledger import books


def add_to(commands: Commands) -> None:
    """Add the commands."""
    group = add_group(commands, "ledger", summary="look after the books", example="unlatch ledger check")
    add_command(
        group,
        "check",
        _check,
        summary="see that all accounts sum to zero and every cached balance is right",
        example="unlatch ledger check",
    )


def _check(arguments: Namespace) -> int:
    total, problems = read(settings_of(arguments), lambda c: (books.sum_minor(c), books.check(c)))
    for problem in problems:
        complain(problem)
    say(f"sum_minor={total} problems={len(problems)}")
    return 1 if total or problems else 0
