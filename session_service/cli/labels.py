"""`unlatch label`: mint, print and revoke labels, and the keys of their macs."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from session_service.cli.common import Commands, actor, add_command, add_group, read, say, settings_of, write
from session_service.cli.devices import find
from session_service.devices import repository as devices
from session_service.devices.repository import Wanted
from session_service.devices.service import By
from session_service.errors import SetupError
from session_service.labels import ops, repository, service
from session_service.labels.endpoints import look_of
from session_service.labels.keyring import KeyRing
from session_service.labels.schemas import KeysOut
from session_service.labels.service import Printed, Printer
from session_service.labels.sheet import SHEET_MAX_LABELS, Paper, SheetLabel, sheet_pdf
from session_service.secrets import load_secrets
from session_service.settings import LABEL_TEXT, Settings, clock_of

MINTED_AT_ONCE: Final = 100  # labels in a transaction, so that there is progress to tell
DEVICES_AT_ONCE: Final = 1_000  # read in one page


def add_to(commands: Commands) -> None:
    """Add the commands."""
    group = add_group(commands, "label", summary="mint, print and revoke labels, and the keys of their macs")
    mint = add_command(
        group,
        "mint",
        _mint,
        summary="make a device's next label, which revokes those before it, and print its id and text",
        example='unlatch label mint 17 --reason "torn"',
    )
    mint.add_argument("device", metavar="DEVICE", help="its number or id")
    _add_minting(mint)
    _add_sheet(group)
    for name, run, summary, reason in (
        ("revoke", _revoke, "make a label open nothing from now on", "pasted over"),
        ("mounted", _mounted, "say that a label is on its device, which revokes those before it", "on the frame"),
        ("reinstate", _reinstate, "take a label back into use that was taken out of it", "looked at it, it is right"),
    ):
        example = f'unlatch label {name} 7H3K9M2PQR --reason "{reason}"'
        parser = add_command(group, name, run, summary=summary, example=example)
        parser.add_argument("label", metavar="LABEL_ID")
        parser.add_argument("--reason", required=True)
    _add_keys(group)


def _add_minting(parser: ArgumentParser) -> None:
    parser.add_argument("--reason", default="", help="why there is a new one; stands in the audit")
    parser.add_argument(
        "--keep-old-until-mounted", action="store_true", help="the old label stays good until this one is mounted"
    )


def _add_sheet(group: Commands) -> None:
    sheet = add_command(
        group,
        "sheet",
        _sheet,
        summary=f"write PDFs to print and cut, with each device's newest label, {SHEET_MAX_LABELS} in a file",
        example="unlatch label sheet 17 18 19 --out labels.pdf\n  unlatch label sheet --all --mint missing --printed",
    )
    sheet.add_argument("devices", metavar="DEVICE", nargs="*", help="number or id")
    sheet.add_argument("--all", action="store_true", help="every device, by number")
    sheet.add_argument("--out", metavar="FILE", type=Path, default=Path("labels.pdf"))
    sheet.add_argument("--paper", choices=[str(paper) for paper in Paper], default=str(Paper.A4))
    sheet.add_argument("--tamper-text", help="a line against peeling off, instead of UNLATCH_LABEL_TAMPER_TEXT")
    sheet.add_argument("--mint", choices=["missing", "all"], help="make new ones first: for devices without, or all")
    sheet.add_argument("--printed", action="store_true", help="write down that they are printed now")
    _add_minting(sheet)


def _add_keys(group: Commands) -> None:
    summary = "the keys of the labels' macs: list, rotate, retire"
    keys = add_group(group, "keys", summary=summary, example="unlatch label keys list")
    add_command(
        keys,
        "list",
        _keys,
        summary="list the keys, and how many labels in force need each",
        example="unlatch label keys list",
    )
    rotate = add_command(
        keys,
        "rotate",
        _rotate,
        summary="add a key that signs new labels from now on; labels under older keys stay good",
        example='unlatch label keys rotate --reason "once a year"',
    )
    rotate.add_argument("--reason", required=True)
    retire = add_command(
        keys,
        "retire",
        _retire,
        summary="stop accepting a key; refused while labels in force need it",
        example='unlatch label keys retire A --reason "it has leaked" --force',
    )
    retire.add_argument("key", metavar="KEY_ID")
    retire.add_argument("--reason", required=True)
    retire.add_argument("--force", action="store_true", help="the labels that still need it open nothing from now on")


# -- Labels


def _keys_of(settings: Settings) -> KeyRing:
    return KeyRing(settings.secrets_dir, load_secrets(settings.secrets_dir).label_keys)


def _printer(settings: Settings) -> Printer:
    return Printer(_keys_of(settings)(), settings.label_host)


def _by(settings: Settings, why: str = "") -> By:
    return By(actor(), why, clock_of(settings).now_ms())


def _mint(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    printer, by, keep = _printer(settings), _by(settings, arguments.reason), arguments.keep_old_until_mounted

    def work(connection: Connection) -> Printed:
        device_id = find(connection, arguments.device).id
        return service.mint(connection, device_id, printer, by, keep_old_until_mounted=keep)

    made = write(settings, work)
    say(f"{made.label.id}  {made.text}")
    return 0


def _revoke(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    by = _by(settings, arguments.reason)
    write(settings, lambda connection: service.revoke(connection, arguments.label, by))
    say(f"Label {arguments.label} opens nothing any more.")
    return 0


def _mounted(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    by = _by(settings, arguments.reason)
    write(settings, lambda connection: service.note_mounted(connection, arguments.label, by))
    say(f"Label {arguments.label} is the only one of its device from now on.")
    return 0


def _reinstate(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    by = _by(settings, arguments.reason)
    write(settings, lambda connection: service.reinstate(connection, arguments.label, by))
    say(f"Label {arguments.label} is in use again.")
    return 0


# -- Sheets


def _sheet(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    printer, by = _printer(settings), _by(settings, arguments.reason)
    if re.fullmatch(LABEL_TEXT, arguments.tamper_text or "") is None:
        msg = "The font of the sheets has the characters of Latin-1; give a --tamper-text of at most 48 of them."
        raise SetupError(msg)
    ids = _ids(settings, arguments)
    if arguments.mint:
        _mint_for(settings, ids, printer, by, arguments)
    look, paper = look_of(settings, arguments.tamper_text), Paper(arguments.paper)
    done = 0
    for part, path in zip(_parts(ids, SHEET_MAX_LABELS), _paths(arguments.out, len(ids)), strict=False):
        found = read(settings, partial(service.newest_printed, device_ids=part, printer=printer))
        _write_file(path, sheet_pdf([SheetLabel(one.text, one.number) for one in found], paper, look))
        if arguments.printed:
            write(settings, partial(service.note_printed, printed=found, by=by))
        done += len(part)
        _progress("printed", done, len(ids))
        say(f"{len(part)} labels in {path}")
    return 0


def _ids(settings: Settings, arguments: Namespace) -> list[str]:
    if bool(arguments.devices) == arguments.all:
        msg = "Name the devices, or say --all."
        raise SetupError(msg)
    return read(settings, _every_id if arguments.all else partial(_named_ids, names=arguments.devices))


def _named_ids(connection: Connection, names: Sequence[str]) -> list[str]:
    return [find(connection, name).id for name in names]


def _every_id(connection: Connection) -> list[str]:
    found: list[str] = []
    after = 0
    while page := devices.page(connection, Wanted(after=after, limit=DEVICES_AT_ONCE)):
        found += [device.id for device, _ in page]
        after = page[-1][0].number
    return found


def _mint_for(settings: Settings, ids: list[str], printer: Printer, by: By, arguments: Namespace) -> None:
    if arguments.mint == "missing":
        has = read(settings, partial(repository.newest_in_force, device_ids=ids))
        ids = [device_id for device_id in ids if device_id not in has]
    keep, done = arguments.keep_old_until_mounted, 0
    for part in _parts(ids, MINTED_AT_ONCE):

        def work(connection: Connection, part: Sequence[str] = part) -> None:
            for device_id in part:
                service.mint(connection, device_id, printer, by, keep_old_until_mounted=keep)

        write(settings, work)
        done += len(part)
        _progress("minted", done, len(ids))


def _parts(ids: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(ids), size):
        yield list(ids[start : start + size])


def _paths(out: Path, labels: int) -> Iterator[Path]:
    """Yield a name for each file: the one that was given, or it with numbers if one is not enough."""
    if labels <= SHEET_MAX_LABELS:
        yield out
        return
    for number in range(1, 2 + labels // SHEET_MAX_LABELS):
        yield out.with_stem(f"{out.stem}-{number}")


def _write_file(path: Path, pdf: bytes) -> None:
    try:
        path.write_bytes(pdf)
    except OSError as error:
        msg = f"Cannot write {path} ({error}). Name another file: --out FILE"
        raise SetupError(msg) from error


def _progress(what: str, done: int, of: int) -> None:
    """Tell how far it is, to a person who waits."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{what} {done} of {of}" + ("\n" if done == of else ""))
        sys.stderr.flush()


# -- Keys


def _keys(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    keys = _keys_of(settings)
    _say_keys(read(settings, lambda connection: ops.shown(connection, keys)))
    return 0


def _rotate(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    keys, by = _keys_of(settings), _by(settings, arguments.reason)
    _say_keys(write(settings, lambda connection: ops.add_key(connection, keys, by)))
    say("Services that read this folder notice within a second; no restart is needed.")
    return 0


def _retire(arguments: Namespace) -> int:
    settings = settings_of(arguments)
    keys, by = _keys_of(settings), _by(settings, arguments.reason)
    force, key_id = arguments.force, arguments.key
    _say_keys(write(settings, lambda connection: ops.retire_key(connection, keys, key_id, by, force=force)))
    say("Services that read this folder notice within a second; no restart is needed.")
    return 0


def _say_keys(found: KeysOut) -> None:
    for key in found.keys:
        current = "  signs new labels" if key.current else ""
        say(f"{key.key_id}  {key.labels_in_force:>6} labels in force{current}")
