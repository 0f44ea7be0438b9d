"""``python -m broker.mosquitto``: for a broker that a service manager starts."""

from __future__ import annotations

import argparse
import logging
import sys
import threading
from pathlib import Path

from broker.mosquitto.access import Access
from broker.mosquitto.errors import MosquittoError
from broker.mosquitto.files import Certificates, write_configuration
from broker.mosquitto.watch import Watch

EXAMPLE = """\
example:
  python -m broker.mosquitto configure /var/lib/unlatch/broker --pki /etc/unlatch/secrets/pki --address 0.0.0.0
  (cd /var/lib/unlatch/broker && mosquitto -c mosquitto.conf)
  python -m broker.mosquitto follow /var/lib/unlatch/broker --pki /etc/unlatch/secrets/pki
"""


def main(words: list[str] | None = None) -> int:
    """Do what the command line says; return the exit code: 0, 1 after a failure, 2 after a wrong command line."""
    asked = _parser().parse_args(words)
    certificates = Certificates.of(asked.pki)
    try:
        if asked.command == "configure":
            _configure(asked, certificates)
        elif asked.command == "reload":
            Access(asked.directory).reload_by_pid_file(certificates.revoked_devices())
        else:
            _follow(asked.directory, certificates)
    except (MosquittoError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command line speaks to people
        return 1
    return 0


def _configure(asked: argparse.Namespace, certificates: Certificates) -> None:
    write_configuration(asked.directory, address=asked.address, port=asked.port, certificates=certificates)
    Access(asked.directory).write(certificates.revoked_devices())


def _follow(directory: Path, certificates: Certificates) -> None:
    """Put what is there in force, and then whatever changes, until a signal ends the process."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    access = Access(directory)
    Watch(certificates, (), lambda: access.reload_by_pid_file(certificates.revoked_devices()))
    threading.Event().wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m broker.mosquitto",
        description="Write Mosquitto's files, or have a running one read them again and cut revoked devices.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    configure = commands.add_parser("configure", help="write the files that Mosquitto is started with")
    again = commands.add_parser("reload", help="put revocations and a renewed certificate in force")
    follow = commands.add_parser("follow", help="do that within seconds of every change, until it is told to stop")
    for command in (configure, again, follow):
        command.add_argument("directory", type=Path, help="the broker's own directory, in which it is started")
        command.add_argument("--pki", type=Path, required=True, help="folder of the certificates: SECRETS_DIR/pki")
    configure.add_argument("--address", default="127.0.0.1", help="to listen on (default: %(default)s)")
    configure.add_argument("--port", type=int, default=8883, help="to listen on (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
