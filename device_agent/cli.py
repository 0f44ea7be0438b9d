"""``unlatch-agent``: run the agent, test what it needs, read its journal."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from device_agent import __version__
from device_agent.errors import AgentError
from device_agent.program import run
from device_agent.settings import EXAMPLE, LoadedSettings, load

DEFAULT_CONFIG: Final = Path("/etc/unlatch-agent/agent.toml")

_EPILOGS: Final = {
    "run": f"example:\n  unlatch-agent run --config /etc/unlatch-agent/agent.toml\n\na settings file:\n\n{EXAMPLE}",
    "selftest": "example:\n  unlatch-agent selftest --config agent.toml",
    "journal": "examples:\n  unlatch-agent journal --config agent.toml\n  unlatch-agent journal --json | jq .reports",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 0 well, 1 failure, 2 usage."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        settings = load(options.config)
        return {"run": _run, "selftest": _selftest, "journal": _journal}[options.command](settings, options)
    except AgentError as error:
        print(f"unlatch-agent: {error}", file=sys.stderr)  # noqa: T201 - a command's answer
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="unlatch-agent",
        description="The program on the device: speaks MQTT and moves the lock.",
        epilog="example:\n  unlatch-agent run --config /etc/unlatch-agent/agent.toml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add(commands, "run", "be the agent until SIGTERM or Ctrl-C")
    _add(commands, "selftest", "check keys, journal, lock driver and broker; moves nothing")
    journal = _add(commands, "journal", "show intents, outcomes and reports; also while the agent runs")
    journal.add_argument("--json", action="store_true", help="as JSON instead of a table")
    return parser


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=_EPILOGS[name],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE", help="default: %(default)s")
    parser.add_argument("--verbose", action="store_true", help="log more")
    return parser


def _run(settings: LoadedSettings, _options: argparse.Namespace) -> int:
    run(settings)
    return 0


def _selftest(settings: LoadedSettings, _options: argparse.Namespace) -> int:
    from device_agent.selftest import check_all  # noqa: PLC0415 - the agent itself does without it

    findings = check_all(settings)
    for finding in findings:
        print(f"{'ok  ' if finding.good else 'FAIL'}  {finding.name:<12}  {finding.detail}")  # noqa: T201
    return 0 if all(finding.good for finding in findings) else 1


def _journal(settings: LoadedSettings, options: argparse.Namespace) -> int:
    from device_agent.journal_view import as_json, as_table, read  # noqa: PLC0415 - the agent itself does without it

    view = read(settings.journal_file)
    print(as_json(view) if options.json else as_table(view))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
