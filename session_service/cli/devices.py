"""`unlatch device`: the registry, for a machine where the service does not run yet; else the API does the same."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from sqlalchemy import Connection

from session_service.cli.common import Commands, actor, add_command, add_group, read, say, settings_of, write
from session_service.cli.pki import has_authority, publish
from session_service.devices import repository, service
from session_service.devices.errors import UnknownDeviceError
from session_service.devices.model import Device, Kind, Service
from session_service.devices.repository import Wanted
from session_service.devices.schemas import ClaimOut, DeviceIn, DeviceOut, ReasonIn, RegisteredOut
from session_service.devices.service import By
from session_service.errors import SetupError
from session_service.keys import service as configurations
from session_service.secrets import Secrets, load_secrets
from session_service.settings import clock_of

LIST_PAGE: Final = 1_000  # devices read at a time
MAX_IMPORT_BYTES: Final = 64_000_000  # 100,000 devices; more are imported in parts


def add_to(commands: Commands) -> None:
    """Add the commands."""
    group = add_group(commands, "device", summary="register and list devices")
    add = add_command(
        group,
        "add",
        _add,
        summary="register a device and print what its agent needs to enrol, as JSON",
        example="unlatch device add --kind bike --number 17 --site Harbour",
    )
    add.add_argument("--kind", choices=[str(kind) for kind in Kind], required=True)
    add.add_argument("--number", required=True, help="printed on the device; unique")
    add.add_argument("--report-key", metavar="FILE", type=Path, help="public P-256 key of one that is not to enrol")
    add.add_argument("--site", default="", help="where it stands, for people")
    add.add_argument("--lat", help="where it stands, in degrees; with --lon")
    add.add_argument("--lon")
    listed = add_command(
        group, "list", _list, summary="list devices by number", example="unlatch device list --kind pod"
    )
    listed.add_argument("--kind", choices=[str(kind) for kind in Kind])
    listed.add_argument("--service", choices=[str(state) for state in Service])
    imported = add_command(
        group,
        "import",
        _import,
        summary="register many devices, all or none; prints a line of JSON for each",
        example="unlatch device import devices.jsonl > registered.jsonl\n\n"
        'devices.jsonl has a line for each device, as POST /v1/ops/devices takes it:\n  {"kind": "bike", '
        '"number": 17, "site": "Harbour"}',
    )
    imported.add_argument("file", metavar="FILE", type=Path, help="- for standard input")
    claim = add_command(
        group,
        "claim",
        _claim,
        summary="give a device whose keys are lost a new claim code, once and for 24 hours; prints it as JSON",
        example='unlatch device claim 17 --reason "its card died"',
    )
    revoke = add_command(
        group,
        "revoke",
        _revoke,
        summary="take a device out for good: it is never let again, and nothing that it says counts",
        example='unlatch device revoke 17 --reason "stolen from the harbour"',
    )
    for command in (claim, revoke):
        command.add_argument("device", metavar="DEVICE", help="its id, or the number on it")
        command.add_argument("--reason", "--why", required=True, type=_why, help="for the audit")


def _add(arguments: Namespace) -> int:
    fields = {"kind": arguments.kind, "number": arguments.number, "site": arguments.site}
    key = None if arguments.report_key is None else _text_of(arguments.report_key)
    fields |= {"lat": arguments.lat, "lon": arguments.lon, "report_key_pem": key}
    try:
        wish = DeviceIn.model_validate_strings({key: value for key, value in fields.items() if value is not None})
    except ValidationError as error:
        raise SetupError(_complaint(error)) from error
    _register(arguments, [wish])
    return 0


def _import(arguments: Namespace) -> int:
    _register(arguments, _wishes(_text_of(arguments.file).splitlines()))
    return 0


def _register(arguments: Namespace, wishes: list[DeviceIn]) -> None:
    """Register all in one transaction and print each as the API answers it."""
    settings = settings_of(arguments)
    secrets = load_secrets(settings.secrets_dir)
    by = By(actor(), "", clock_of(settings).now_ms())

    def work(connection: Connection) -> list[RegisteredOut]:
        return [_registered(connection, wish, by, secrets) for wish in wishes]

    for made in write(settings, work):
        say(made.model_dump_json())


def _registered(connection: Connection, wish: DeviceIn, by: By, secrets: Secrets) -> RegisteredOut:
    device, claim = service.register_with_claim(connection, wish.wish(), by)
    configurations.provision(connection, device.id, secrets.command_keys.ring, by.now_ms)
    return RegisteredOut.of(device, claim, secrets).with_code(secrets)


def _why(text: str) -> str:
    try:
        return ReasonIn(reason=text).reason
    except ValidationError as error:
        msg = "say why in a line of at most 200 characters"
        raise ArgumentTypeError(msg) from error


def _claim(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    secrets = load_secrets(settings.secrets_dir)
    by = By(actor(), arguments.reason, clock_of(settings).now_ms())
    claim = write(settings, lambda c: service.give_claim(c, find(c, arguments.device).id, by))
    say(ClaimOut.of_claim(claim).with_code(secrets).model_dump_json())
    return 0


def _revoke(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    by = By(actor(), arguments.reason, clock_of(settings).now_ms())
    seen = write(settings, lambda c: service.revoke(c, find(c, arguments.device).id, by))
    say(f"Device {seen.device.id} is revoked.")
    if has_authority(settings):
        say(publish(settings))
    return 0


def _wishes(lines: Iterable[str]) -> list[DeviceIn]:
    wishes = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            wishes.append(DeviceIn.model_validate_json(line))
        except ValidationError as error:
            msg = f"Line {number} is no device, and nothing was registered. {_complaint(error)}"
            raise SetupError(msg) from error
    return wishes


def _complaint(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"Correct {where}: {first['msg']}" if where else f"Correct it: {first['msg']}"


def _text_of(path: Path) -> str:
    try:
        if path == Path("-"):
            return sys.stdin.read(MAX_IMPORT_BYTES)
        if path.stat().st_size > MAX_IMPORT_BYTES:
            msg = f"{path} has more than {MAX_IMPORT_BYTES} bytes. Import it in parts."
            raise SetupError(msg)
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"Cannot read {path} ({error}). Give a readable text file."
        raise SetupError(msg) from error


def _list(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    now_ms = clock_of(settings).now_ms()
    kind = Kind(arguments.kind) if arguments.kind else None
    state = Service(arguments.service) if arguments.service else None
    wanted = Wanted(limit=LIST_PAGE, kind=kind, service=state)
    while page := read(settings, partial(service.look_at_all, wanted=wanted)):
        for seen in page:
            say(_line(DeviceOut.of(seen, now_ms, settings.stale_after_ms)))
        wanted = replace(wanted, after=page[-1].device.number)
    return 0


def _line(device: DeviceOut) -> str:
    age = "never seen" if device.age_s is None else f"{device.age_s:.0f} s ago"
    alerts = ",".join(alert.kind for alert in device.alerts)
    return (
        f"{device.number:>7}  {device.device_id}  {device.kind:<4}  {device.service:<11}  "
        f"{device.presence:<7}  {age:>12}  {device.site}  {alerts}"
    ).rstrip()


def find(connection: Connection, name: str) -> Device:
    """Return a device by its id, or by the number on it.

    Raises:
        UnknownDeviceError: it is neither.
    """
    device = repository.by_id(connection, name)
    if device is None and name.isascii() and name.isdigit() and int(name) <= 2**31 - 1:
        device = repository.by_number(connection, int(name))
    if device is None:
        msg = f"No device has the id or number {name}. See them all: unlatch device list"
        raise UnknownDeviceError(msg)
    return device
