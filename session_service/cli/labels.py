"""`unlatch label`: mint, print and revoke labels."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from sqlalchemy import Connection

from session_service.cli.common import Commands, actor, add_command, add_group, clock_of, read, say, settings_of, write
from session_service.cli.devices import find
from session_service.devices.service import By
from session_service.errors import SetupError
from session_service.labels import service
from session_service.labels.service import Printed, Printer
from session_service.labels.sheet import SHEET_MAX_LABELS, Paper, SheetLabel, sheet_pdf
from session_service.labels.token import LabelKeys
from session_service.secrets import load_secrets
from session_service.settings import Settings


def add_to(commands: Commands) -> None:
    """Add the commands."""
    group = add_group(commands, "label", summary="mint, print and revoke labels")
    mint = add_command(
        group,
        "mint",
        _mint,
        summary="make a device's next label and print its id and text",
        example="unlatch label mint 17",
    )
    mint.add_argument("device", metavar="DEVICE", help="its number or id")
    sheet = add_command(
        group,
        "sheet",
        _sheet,
        summary="write a PDF to print and cut, with each device's newest label",
        example="unlatch label sheet 17 18 19 --out labels.pdf",
    )
    sheet.add_argument("devices", metavar="DEVICE", nargs="+", help=f"number or id; at most {SHEET_MAX_LABELS}")
    sheet.add_argument("--out", metavar="FILE", type=Path, default=Path("labels.pdf"))
    sheet.add_argument("--paper", choices=[str(paper) for paper in Paper], default=str(Paper.A4))
    revoke = add_command(
        group,
        "revoke",
        _revoke,
        summary="make a label open nothing from now on",
        example='unlatch label revoke 7H3K9M2PQR --reason "pasted over"',
    )
    revoke.add_argument("label", metavar="LABEL_ID")
    revoke.add_argument("--reason", required=True)


def _printer(settings: Settings) -> Printer:
    keys = LabelKeys.newest_current(load_secrets(settings.secrets_dir).label_keys)
    return Printer(keys, settings.label_host)


def _by(settings: Settings, why: str = "") -> By:
    return By(actor(), why, clock_of(settings).now_ms())


def _mint(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    printer, by = _printer(settings), _by(settings)

    def work(connection: Connection) -> Printed:
        return service.mint(connection, find(connection, arguments.device).id, printer, by)

    made = write(settings, work)
    say(f"{made.label.id}  {made.text}")
    return 0


def _sheet(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    printer = _printer(settings)
    if len(arguments.devices) > SHEET_MAX_LABELS:
        msg = f"A sheet has at most {SHEET_MAX_LABELS} labels. Make several."
        raise SetupError(msg)

    def work(connection: Connection) -> list[Printed]:
        ids = [find(connection, name).id for name in arguments.devices]
        return service.newest_printed(connection, ids, printer)

    labels = [SheetLabel(made.text, made.number) for made in read(settings, work)]
    try:
        arguments.out.write_bytes(sheet_pdf(labels, Paper(arguments.paper)))
    except OSError as error:
        msg = f"Cannot write {arguments.out} ({error}). Name another file: --out FILE"
        raise SetupError(msg) from error
    say(f"{len(labels)} labels in {arguments.out}")
    return 0


def _revoke(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    by = _by(settings, arguments.reason)
    write(settings, lambda connection: service.revoke(connection, arguments.label, by))
    say(f"Label {arguments.label} opens nothing any more.")
    return 0
