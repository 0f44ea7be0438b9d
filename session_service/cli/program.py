"""Puts the commands together and turns errors into one line that says what to do."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Final

from session_service.cli.common import Commands, complain, new_parser
from session_service.errors import Problem, SetupError

MODULES: Final = {
    "serve": "serve",
    "migrate": "setup",
    "secrets": "setup",
    "pki": "pki",
    "keys": "keys",
    "device": "devices",
    "label": "labels",
    "presence": "presence",
    "operator": "operators",
    "ledger": "ledger",
    "audit": "audit",
    "check": "check",
}
"""Which module has a command, in the order of `unlatch --help`. Only that one is loaded: all of them take a second."""
FAILED = 1
INTERRUPTED = 130  # as shells say it


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 for a failure, 2 for a wrong usage."""
    words = sys.argv[1:] if argv is None else argv
    arguments = _parser(words[0] if words else "").parse_args(words)
    run: Callable[..., int] = arguments.run
    try:
        return run(arguments)
    except SetupError as error:
        complain(f"unlatch: {error}")
    except Problem as problem:
        complain(f"unlatch: {problem.title}. {problem.detail}")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at exit
    except KeyboardInterrupt:
        return INTERRUPTED
    return FAILED


def _parser(command: str = "") -> ArgumentParser:
    """Return the parser of one command, or of all if there is none of this name."""
    parser = new_parser(
        prog="unlatch",
        description="Rent out bikes and pods by QR code: the service, and what its operator does on its machine. "
        "Settings are UNLATCH_* variables, such as UNLATCH_DATABASE_URL and UNLATCH_BROKER_HOST.",
        example="unlatch secrets && unlatch migrate && unlatch operator add Ada && unlatch serve",
    )
    parser.add_argument("--version", action="version", version=f"unlatch {version('unlatch')}")
    commands: Commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    wanted = [MODULES[command]] if command in MODULES else dict.fromkeys(MODULES.values())
    for module in wanted:
        import_module(f"session_service.cli.{module}").add_to(commands)
    return parser
