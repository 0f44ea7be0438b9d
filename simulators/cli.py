"""``unlatch-sim``: the whole system on a laptop, fleets, replays and checks."""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final, NoReturn

from rich.console import Console

from broker.mosquitto.errors import MosquittoError
from device_agent.errors import AgentError
from simulators.errors import HouseError, SimulatorError

if TYPE_CHECKING:
    from simulators.house import House

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name for it

FAILED: Final = 1
LOOPBACK: Final = "127.0.0.1"
PAYMENT_SECRETS: Final = ("payment-api-key", "payment-webhook-secret")
"""Files that `unlatch secrets` makes for the provider and the service."""

Command = Callable[[argparse.Namespace, Console], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 for success, 1 for failure, 2 for a wrong call."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, _end)  # so that what we started ends in order too
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell makes what it starts with & deaf to it
    parsed = _parser().parse_args(arguments)
    command: Command = parsed.command
    console = Console()
    try:
        return command(parsed, console)
    except (SimulatorError, MosquittoError, AgentError) as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return FAILED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


# Each command loads what it needs and no more: a fleet of a thousand has no use for a camera, and waits for none.


def _up(arguments: argparse.Namespace, console: Console) -> int:
    from simulators.up import City, up  # noqa: PLC0415

    wish = City(
        devices=arguments.devices,
        seed=arguments.seed,
        port=arguments.port,
        directory=arguments.dir,
        once=arguments.once,
    )
    up(wish, console)
    return 0


def _fleet(arguments: argparse.Namespace, _console: Console) -> int:
    from device_agent.journal_file import Synchronous  # noqa: PLC0415
    from simulators.bodies import Making  # noqa: PLC0415
    from simulators.fleet import run_fleet  # noqa: PLC0415

    host, port = arguments.broker
    making = Making(synchronous=Synchronous(arguments.synchronous), movement_ms=arguments.movement_ms)
    run_fleet(arguments.dir, host, port, making)
    return 0


def _replay(arguments: argparse.Namespace, console: Console) -> int:
    from simulators.progress import Watch  # noqa: PLC0415
    from simulators.replay import ReplayPlan, replay  # noqa: PLC0415
    from simulators.report import ReplayReport, show, to_json  # noqa: PLC0415
    from simulators.trips import read_trips  # noqa: PLC0415
    from simulators.up import PERSON, watch_over, way_in  # noqa: PLC0415

    def opened(house: House) -> None:
        if arguments.open:
            console.print(way_in(house), highlight=False, soft_wrap=True)

    def closing(house: House, report: ReplayReport) -> None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_bytes(to_json(report))
        show(report, console)
        if arguments.open:
            console.print("Ctrl-C ends everything.")
            with contextlib.suppress(KeyboardInterrupt):
                watch_over(house)

    if arguments.instances == 1 and (arguments.kill_every or arguments.upgrade):
        msg = "Only one of several instances can be killed or upgraded while others serve: --instances 2"
        raise HouseError(msg)
    if arguments.instances > 1 and not (arguments.database or "").startswith("postgresql"):
        msg = "Several instances need PostgreSQL: name an empty database with --database"
        raise HouseError(msg)
    trips = read_trips(arguments.dir, arguments.trips, arguments.skip)
    with Watch(console, len(trips)) as watch:
        plan = ReplayPlan(
            trips=trips,
            speed=arguments.speed,
            database_url=arguments.database,
            instances=arguments.instances,
            kill_every_s=arguments.kill_every,
            upgrade=arguments.upgrade,
            directory=arguments.keep,
            time_limit_s=arguments.time_limit_s,
            tell=watch.tell,
            told=watch.told,
            person=PERSON if arguments.open else None,
            opened=opened,
            closing=closing,
        )
        report = replay(plan)
    return FAILED if report.problems else 0


def _check(arguments: argparse.Namespace, console: Console) -> int:
    from simulators.invariants import violations  # noqa: PLC0415

    found = violations(arguments.database, arguments.dir)
    for name, lines in found.items():
        console.print(f"{name}: {len(lines)}", style="red" if lines else None, highlight=False)
        for line in lines:
            console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    return FAILED if any(found.values()) else 0


def _hand(arguments: argparse.Namespace, console: Console) -> int:
    from simulators.hands import ask  # noqa: PLC0415

    try:
        facts = ask(arguments.dir, arguments.deed, arguments.device)
    except OSError as error:
        msg = f"No fleet listens in {arguments.dir} ({error}). Name the folder of one that runs: unlatch-sim up"
        raise HouseError(msg) from error
    for name, value in facts.items():
        if name != "id":
            console.print(f"{name}: {value}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _payments(arguments: argparse.Namespace, _console: Console) -> int:
    from simulators import payments  # noqa: PLC0415

    try:
        api_key, webhook_secret = ((arguments.secrets / name).read_text().strip() for name in PAYMENT_SECRETS)
    except OSError as error:
        msg = f"A payment secret cannot be read ({error}). To make it: unlatch secrets"
        raise HouseError(msg) from error
    payments.run(LOOPBACK, arguments.port, api_key, webhook_secret)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="unlatch-sim", description="The whole of Unlatch on one machine.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_up, _add_fleet, _add_hand, _add_replay, _add_check, _add_payments):
        add(commands)
    return parser


def _add(commands: Commands, command: Command, summary: str, *examples: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        command.__name__.removeprefix("_"),
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog="\n  ".join(["examples:", *examples]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    return parser


def _add_up(commands: Commands) -> None:
    summary = "start broker, service and a fleet in a small invented city, ride once as a check, and stay until Ctrl-C"
    parser = _add(commands, _up, summary, "unlatch-sim up", "unlatch-sim up --devices 200 --port 8080")
    parser.add_argument("--devices", type=_whole(2, 5_000), default=50, help="bikes and pods (default %(default)s)")
    parser.add_argument("--port", type=_whole(1, 65_535), help="of the service (default: a free one)")
    parser.add_argument("--seed", type=int, default=1, help="another seed is another city (default %(default)s)")
    parser.add_argument("--dir", type=Path, help="an empty folder to keep files and logs in (default: a temporary one)")
    parser.add_argument("--once", action="store_true", help="end after the check")


def _add_fleet(commands: Commands) -> None:
    summary = "run the devices of a folder in one process, each on an MQTT connection of its own"
    parser = _add(commands, _fleet, summary, "unlatch-sim fleet DIR/devices --broker 127.0.0.1:1883")
    parser.add_argument("dir", type=Path, help="the devices' folders, as `unlatch-sim up --dir DIR` makes them")
    parser.add_argument("--broker", type=_address, required=True, metavar="HOST:PORT")
    parser.add_argument(
        "--synchronous",
        choices=["OFF", "NORMAL", "FULL"],
        default="OFF",
        help="of the journals; a real device uses FULL, and no power can fail here (default %(default)s)",
    )
    parser.add_argument(
        "--movement-ms", type=_whole(0, 10_000), default=0, help="how long a lock takes to move (default at once)"
    )


def _add_hand(commands: Commands) -> None:
    summary = "do to a device of a running fleet what a person's hand does, such as closing a bike's lock"
    parser = _add(commands, _hand, summary, "unlatch-sim hand DIR/devices 0123456789 lock_by_hand")
    parser.add_argument("dir", type=Path, help="the devices' folders")
    parser.add_argument("device", help="its id")
    parser.add_argument("deed", help="lock_by_hand, or another one of simulators/bodies.py")


def _add_replay(commands: Commands) -> None:
    summary = "replay real trips through broker, service and fleet, and check the invariants"
    parser = _add(
        commands,
        _replay,
        summary,
        "unlatch-sim replay DIR --trips 2000 --speed 3600 --out report.json",
        "unlatch-sim replay DIR --trips 500 --skip 2000 --speed 600 --out report.json \\",
        "    --database postgresql+asyncpg://me@/unlatch_replay?host=/run/postgresql",
        "unlatch-sim replay DIR --trips 200 --speed 60 --out report.json --open",
        "unlatch-sim replay DIR --trips 2000 --out report.json --instances 2 --kill-every 10 --upgrade \\",
        "    --database postgresql+asyncpg://me@/unlatch_replay?host=/run/postgresql",
    )
    parser.add_argument("dir", type=Path, help="a folder with trips.csv and stations.csv")
    parser.add_argument("--trips", type=_whole(1, 10_000_000), help="how many (default all)")
    parser.add_argument("--skip", type=_whole(0, 10_000_000), default=0, help="leave out the first so many")
    parser.add_argument(
        "--speed", type=_factor, default=3_600.0, help="civil seconds in a real one (default %(default)s)"
    )
    parser.add_argument("--out", type=Path, required=True, help="where the figures go, as JSON")
    parser.add_argument("--database", help="URL of an empty database (default: SQLite, for this replay only)")
    parser.add_argument(
        "--instances",
        type=_whole(1, 8),
        default=1,
        help="of the service; several need PostgreSQL (default %(default)s)",
    )
    parser.add_argument("--kill-every", type=_factor, metavar="S", help="kill an instance (-9) and start it again")
    parser.add_argument(
        "--upgrade",
        action="store_true",
        help="half-way take a backup and restore it beside, migrate, and restart one instance after the other",
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="an empty folder to keep files and logs in")
    parser.add_argument(
        "--time-limit-s", type=_factor, default=3_600.0, help="real seconds for all rides (default %(default)s)"
    )
    parser.add_argument(
        "--open",
        action="store_true",
        help="say before the first trip how to sign in to the dashboard, and stay after the last until Ctrl-C",
    )


def _add_check(commands: Commands) -> None:
    summary = "hold the service's database against the devices' journals, for the invariants of the design"
    parser = _add(commands, _check, summary, "unlatch-sim check DIR/devices --database sqlite:///DIR/unlatch.db")
    parser.add_argument("dir", type=Path, help="the devices' folders")
    parser.add_argument("--database", required=True, help="the service's, as in UNLATCH_DATABASE_URL")


def _add_payments(commands: Commands) -> None:
    summary = "run the sandbox payment provider; no money is involved"
    parser = _add(commands, _payments, summary, "unlatch-sim payments --port 8090 --secrets secrets")
    parser.add_argument("--port", type=_whole(0, 65_535), default=8_090, help="0 for a free one (default %(default)s)")
    parser.add_argument("--secrets", type=Path, default=Path("secrets"), help="made by `unlatch secrets`")


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isdecimal() and least <= int(text) <= most):
            msg = f"give a whole number from {least} to {most}, not {text!r}"
            raise argparse.ArgumentTypeError(msg)
        return int(text)

    return parse


def _factor(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 100_000:
        msg = f"give a number above 0, at most 100,000, not {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return value


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, _whole(1, 65_535)(port)


if __name__ == "__main__":
    sys.exit(main())
