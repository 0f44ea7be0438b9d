"""``python -m broker.mosquitto``: for a broker that a service manager starts."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from broker.mosquitto.access import Access, reload_by_pid_file
from broker.mosquitto.errors import MosquittoError
from broker.mosquitto.files import Certificates, write_configuration

EXAMPLE = """\
example:
  python -m broker.mosquitto configure /var/lib/unlatch/broker --pki /etc/unlatch/secrets/pki --address 0.0.0.0
  (cd /var/lib/unlatch/broker && mosquitto -c mosquitto.conf)
  python -m broker.mosquitto reload /var/lib/unlatch/broker --pki /etc/unlatch/secrets/pki
"""


def main(words: list[str] | None = None) -> int:
    """Do what the command line says; return the exit code: 0, 1 after a failure, 2 after a wrong command line."""
    asked = _parser().parse_args(words)
    certificates = Certificates.of(asked.pki)
    try:
        if asked.command == "configure":
            _configure(asked, certificates)
        else:
            reload_by_pid_file(asked.directory, certificates.revoked_devices())
    except (MosquittoError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command line speaks to people
        return 1
    return 0


def _configure(asked: argparse.Namespace, certificates: Certificates) -> None:
    write_configuration(asked.directory, address=asked.address, port=asked.port, certificates=certificates)
    Access(asked.directory).write(certificates.revoked_devices())


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
    for command in (configure, again):
        command.add_argument("directory", type=Path, help="the broker's own directory, in which it is started")
        command.add_argument("--pki", type=Path, required=True, help="folder of the certificates: SECRETS_DIR/pki")
    configure.add_argument("--address", default="127.0.0.1", help="to listen on (default: %(default)s)")
    configure.add_argument("--port", type=int, default=8883, help="to listen on (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
