"""``unlatch-agent``: enrol the device, run the agent, test what it needs, read its journal."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from device_agent import __version__
from device_agent.errors import AgentError
from device_agent.program import release, run
from device_agent.settings import EXAMPLE, Kind, LoadedSettings, load

RENEW_LIMIT_S: Final = 300  # start of Python on a slow card, and a slow network's answer; the agent waits for it

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name
Work = Callable[[LoadedSettings, argparse.Namespace], int]

DEFAULT_CONFIG: Final = Path("/etc/unlatch/device.toml")

_EPILOGS: Final = {
    "run": f"example:\n  unlatch-agent run --config /etc/unlatch/device.toml\n\na settings file:\n\n{EXAMPLE}",
    "release": "example:\n  unlatch-agent release --config device.toml",
    "selftest": "examples:\n  unlatch-agent selftest --config device.toml\n  unlatch-agent selftest --watch",
    "enrol": (
        "examples:\n"
        "  unlatch-agent enrol --service https://unlatch.example.org --device 0123456789 --claim 7Q2M-XK4P\n"
        "  unlatch-agent enrol ... --pkcs11 'pkcs11:token=unlatch;object=report-key"
        "?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/unlatch/pin'\n\n"
        "It can be repeated after a failure: the keys that it has made are used again."
    ),
    "renew": "example:\n  unlatch-agent renew --config device.toml\n\nThe running agent does this by itself.",
    "journal": "examples:\n  unlatch-agent journal --config device.toml\n  unlatch-agent journal --json | jq .reports",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 0 well, 1 failure, 2 usage."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        work: Callable[[argparse.Namespace], int] = options.work
        return work(options)
    except AgentError as error:
        print(f"unlatch-agent: {error}", file=sys.stderr)  # noqa: T201 - a command's answer
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="unlatch-agent",
        description="The program on the device: speaks MQTT and moves the lock.",
        epilog="example:\n  unlatch-agent run --config /etc/unlatch/device.toml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_enrol(commands)
    _add(commands, "run", "be the agent until SIGTERM or Ctrl-C", _run)
    _add(
        commands,
        "release",
        "switch all outputs of the lock off; for after a crash, the agent does it by itself",
        _release,
    )
    selftest = _add(commands, "selftest", "check keys, certificate, journal, lock driver and broker", _selftest)
    selftest.add_argument(
        "--watch", action="store_true", help="move the lock, too, and ask whoever stands beside it; else nothing moves"
    )
    renew = _add(commands, "renew", "get a new certificate if the present one is due", _renew)
    renew.add_argument("--now", action="store_true", help="due or not")
    journal = _add(commands, "journal", "show intents, outcomes and reports; also while the agent runs", _journal)
    journal.add_argument("--json", action="store_true", help="as JSON instead of a table")
    return parser


def _add_enrol(commands: Commands) -> None:
    parser = _add_plain(commands, "enrol", "make the device's keys and get its certificate, once, with a claim code")
    parser.set_defaults(work=_enrol)
    parser.add_argument("--service", required=True, metavar="URL", help="https://... of the service")
    parser.add_argument("--device", required=True, metavar="ID", help="the device's id, as registered")
    parser.add_argument(
        "--claim", required=True, metavar="CODE", help="the one-time code; - reads it from standard input"
    )
    folder = DEFAULT_CONFIG.parent
    parser.add_argument(
        "--dir", type=Path, default=folder, metavar="DIR", help="where it all goes; default: %(default)s"
    )
    parser.add_argument("--ca", type=Path, metavar="FILE", help="authority of the service, if the system has it not")
    parser.add_argument(
        "--pkcs11", metavar="URI", help="make the report key on a token (RFC 7512) instead of in a file"
    )
    parser.add_argument(
        "--kind", type=Kind, choices=list(Kind), default=Kind.BIKE, help="what the lock is on; default: bike"
    )
    parser.add_argument(
        "--wiring", type=Path, metavar="FILE", help="the tables [lock] and [senses] of the settings, instead of --kind"
    )
    parser.add_argument(
        "--state", default="state", metavar="DIR", help="where the journal is to be; default: %(default)s in --dir"
    )


def _add(commands: Commands, name: str, summary: str, work: Work) -> argparse.ArgumentParser:
    parser = _add_plain(commands, name, summary)
    parser.set_defaults(work=lambda options: work(load(options.config), options))
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE", help="default: %(default)s")
    return parser


def _add_plain(commands: Commands, name: str, summary: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary,
        epilog=_EPILOGS[name],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--verbose", action="store_true", help="log more")
    return parser


def _enrol(options: argparse.Namespace) -> int:
    from device_agent.enrolment import Wish, enrol  # noqa: PLC0415 - the agent itself does without it

    claim = sys.stdin.readline().strip() if options.claim == "-" else options.claim
    settings_file = enrol(
        Wish(
            url=options.service,
            device=options.device,
            claim=claim,
            folder=options.dir.absolute(),
            ca_file=options.ca,
            pkcs11=options.pkcs11,
            kind=options.kind,
            wiring=options.wiring,
            state_dir=options.state,
        )
    )
    print(f"enrolled; check it with: unlatch-agent selftest --config {settings_file}")  # noqa: T201
    return 0


def _renew(settings: LoadedSettings, options: argparse.Namespace) -> int:
    from device_agent.renew import renew  # noqa: PLC0415 - the agent itself does without it

    signal.alarm(RENEW_LIMIT_S)
    try:
        print(renew(settings, now=options.now))  # noqa: T201
    finally:
        signal.alarm(0)
    return 0


def _run(settings: LoadedSettings, _options: argparse.Namespace) -> int:
    run(settings)
    return 0


def _release(settings: LoadedSettings, _options: argparse.Namespace) -> int:
    release(settings)
    return 0


def _selftest(settings: LoadedSettings, options: argparse.Namespace) -> int:
    from device_agent.selftest import check_all  # noqa: PLC0415 - the agent itself does without it

    findings = check_all(settings)
    if options.watch and all(finding.good for finding in findings):
        from device_agent.watched import Technician, watch  # noqa: PLC0415

        findings += watch(settings, Technician(_ask, print))
    for finding in findings:
        print(f"{'ok  ' if finding.good else 'FAIL'}  {finding.name:<12}  {finding.detail}")  # noqa: T201
    return 0 if all(finding.good for finding in findings) else 1


def _ask(question: str) -> str:
    print(question, end="", flush=True)  # noqa: T201 - a command's question
    return sys.stdin.readline()


def _journal(settings: LoadedSettings, options: argparse.Namespace) -> int:
    from device_agent.journal_view import as_json, as_table, read  # noqa: PLC0415 - the agent itself does without it

    view = read(settings.journal_file)
    print(as_json(view) if options.json else as_table(view))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
