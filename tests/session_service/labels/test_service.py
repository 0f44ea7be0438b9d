from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, text

from session_service.database import Database
from session_service.devices.errors import UnknownDeviceError
from session_service.devices.service import By
from session_service.labels import service
from session_service.labels.errors import (
    ForeignLabelError,
    ForgedLabelError,
    MalformedLabelError,
    NotMountableError,
    RevokedLabelError,
    SuspendedLabelError,
    TooManyLabelsError,
    UnknownLabelError,
)
from session_service.labels.model import Label
from session_service.labels.service import Printed, Printer
from session_service.labels.token import GENERATION_MAX, LabelKeys, mint
from tests.support.photos import HOST, KEYS

BIKE, POD = "AAAAAAAAAA", "BBBBBBBBBB"
PRINTER = Printer(KEYS, HOST)
BY = By("operator:ana", "", 1_000)


def _mint(connection: Connection, device_id: str = BIKE, *, keep: bool = False) -> Printed:
    return service.mint(connection, device_id, PRINTER, BY, keep_old_until_mounted=keep)


def _in_force(connection: Connection, *printed: Printed) -> list[bool]:
    return [service.look(connection, one.label.id).label.revoked_at_ms is None for one in printed]


def _revoke(connection: Connection, printed: Printed, why: str = "torn", now_ms: int = 2_000) -> None:
    service.revoke(connection, printed.label.id, By("operator:ana", why, now_ms))


def _check(connection: Connection, printed: Printed) -> None:
    """Do what Start does with a scanned text."""
    parts = service.genuine(printed.text, KEYS, host=HOST)
    label = service.look(connection, parts.label_id).label
    service.ensure_genuine(parts, KEYS, label)


def _row(**changed: object) -> Label:
    values: dict[str, object] = {"id": "0000000000", "device_id": BIKE, "generation": 4, "minted_at_ms": 1}
    return Label.model_validate(values | {"key_id": "A"} | changed)


def _audit(connection: Connection) -> list[tuple[str, str, str, str, int]]:
    rows = connection.execute(text("SELECT actor, action, subject, why, at_ms FROM audit ORDER BY id"))
    return [(row.actor, row.action, row.subject, row.why, row.at_ms) for row in rows]


def test_a_minted_label_is_genuine_and_bears_the_devices_number(city: Connection) -> None:
    printed = _mint(city)
    assert (printed.number, printed.label.device_id, printed.label.generation) == (1042, BIKE, 1)
    _check(city, printed)


def test_each_label_of_a_device_has_the_next_generation_and_an_id_of_its_own(city: Connection) -> None:
    labels = [_mint(city), _mint(city), _mint(city, POD), _mint(city)]
    assert [printed.label.generation for printed in labels] == [1, 2, 1, 3]
    assert len({printed.label.id for printed in labels}) == 4
    for printed in labels[2:]:
        _check(city, printed)


def test_a_new_label_revokes_the_one_before_in_the_same_transaction_with_reason_and_audit(city: Connection) -> None:
    old, pods = _mint(city), _mint(city, POD)
    new = service.mint(city, BIKE, PRINTER, By("operator:ana", "torn", 5_000))
    with pytest.raises(RevokedLabelError):
        _check(city, old)
    _check(city, new)
    _check(city, pods)
    label = service.look(city, old.label.id).label
    assert (label.revoked_at_ms, label.revoked_reason) == (5_000, "replaced by label 2: torn")
    assert _audit(city)[2:] == [
        ("operator:ana", "label.mint", f"label:{new.label.id}", f"label 2 of device {BIKE} (torn)", 5_000),
        ("operator:ana", "label.revoke", f"label:{old.label.id}", "replaced by label 2: torn", 5_000),
    ]


def test_an_old_label_stays_good_until_the_new_one_is_mounted_if_somebody_asks_for_that(city: Connection) -> None:
    old, new = _mint(city), _mint(city, keep=True)
    assert _in_force(city, old, new) == [True, True]
    by = By("operator:ana", "on the frame", 7_000)
    assert service.note_mounted(city, new.label.id, by).label.mounted_at_ms == 7_000
    assert _in_force(city, old, new) == [False, True]
    assert service.look(city, old.label.id).label.revoked_reason == "replaced by label 2: on the frame"
    rows = len(_audit(city))
    service.note_mounted(city, new.label.id, By("operator:ana", "again", 8_000))
    assert len(_audit(city)) == rows


def test_mounting_an_older_label_leaves_the_newer_one_as_it_is(city: Connection) -> None:
    old, new = _mint(city), _mint(city, keep=True)
    service.note_mounted(city, old.label.id, BY)
    assert _in_force(city, old, new) == [True, True]


def test_a_revoked_label_is_not_mounted(city: Connection) -> None:
    old, _ = _mint(city), _mint(city)
    with pytest.raises(NotMountableError, match="POST"):
        service.note_mounted(city, old.label.id, BY)


def test_a_suspended_label_opens_nothing_until_a_technician_has_looked(city: Connection) -> None:
    printed = _mint(city)
    assert service.suspend(city, printed.label.id, By("rule:another_one_opened", "swapped", 3_000))
    assert not service.suspend(city, printed.label.id, By("rule:another_one_opened", "again", 4_000))
    with pytest.raises(SuspendedLabelError):
        _check(city, printed)
    label = service.look(city, printed.label.id).label
    assert (label.suspended_at_ms, label.suspended_reason) == (3_000, "swapped")
    looked = service.reinstate(city, printed.label.id, By("operator:ana", "it is right", 5_000))
    assert looked.label.suspended_at_ms is None
    _check(city, printed)
    service.reinstate(city, printed.label.id, By("operator:ana", "twice", 6_000))
    assert [row[1] for row in _audit(city)] == ["label.mint", "label.suspend", "label.reinstate"]


def test_a_printed_sheet_is_written_down_with_one_row_in_the_audit(city: Connection) -> None:
    printed = [_mint(city), _mint(city, POD)]
    service.note_printed(city, printed, By("operator:ana", "depot", 9_000))
    assert [service.look(city, one.label.id).label.printed_at_ms for one in printed] == [9_000, 9_000]
    ids = " ".join(one.label.id for one in printed)
    assert _audit(city)[2:] == [("operator:ana", "label.print", "labels", f"depot: {ids}", 9_000)]


def test_a_revoked_label_opens_nothing_and_the_others_go_on(city: Connection) -> None:
    old, new = _mint(city), _mint(city, keep=True)
    _revoke(city, old)
    with pytest.raises(RevokedLabelError):
        _check(city, old)
    _check(city, new)


def test_revoking_twice_keeps_the_first_reason_and_is_audited_once(city: Connection) -> None:
    printed = _mint(city)
    _revoke(city, printed)
    _revoke(city, printed, "again", 3_000)
    label = service.look(city, printed.label.id).label
    assert (label.revoked_at_ms, label.revoked_reason) == (2_000, "torn")
    subject = f"label:{printed.label.id}"
    assert _audit(city) == [
        ("operator:ana", "label.mint", subject, f"label 1 of device {BIKE}", 1_000),
        ("operator:ana", "label.revoke", subject, "torn", 2_000),
    ]


def test_nobodys_label_is_told_from_a_forged_one(city: Connection) -> None:
    gone = mint(KEYS, host=HOST, label_id="0000000000", generation=4)
    parts = service.genuine(gone, KEYS, host=HOST)
    assert isinstance(service.without_row(parts, KEYS), UnknownLabelError)
    with pytest.raises(UnknownLabelError):
        service.look(city, parts.label_id)


def test_a_label_of_another_generation_than_its_rows_is_forged() -> None:
    parts = service.genuine(mint(KEYS, host=HOST, label_id="0000000000", generation=4), KEYS, host=HOST)
    with pytest.raises(ForgedLabelError):
        service.ensure_genuine(parts, KEYS, _row(generation=5))


def test_a_forged_and_revoked_label_is_called_forged() -> None:
    parts = service.genuine(mint(KEYS, host=HOST, label_id="0000000000", generation=4), KEYS, host=HOST)
    with pytest.raises(ForgedLabelError):
        service.ensure_genuine(parts, KEYS, _row(generation=5, revoked_at_ms=1))


def test_a_label_under_another_key_than_its_rows_is_forged() -> None:
    """A key that has leaked is good for nothing but the labels that were minted under it."""
    for key_id in ("A", "B"):
        text = mint(LabelKeys(KEYS.secrets, current=key_id), host=HOST, label_id="0000000000", generation=4)
        parts = service.genuine(text, KEYS, host=HOST)
        service.ensure_genuine(parts, KEYS, _row(key_id=key_id))
        with pytest.raises(ForgedLabelError):
            service.ensure_genuine(parts, KEYS, _row(key_id="Z"))


def test_what_is_none_of_ours_is_refused_without_the_database() -> None:
    stranger = LabelKeys(secrets={"A": b"x" * 32}, current="A")
    forged = mint(stranger, host=HOST, label_id="0000000000", generation=1)
    with pytest.raises(ForgedLabelError):
        service.genuine(forged, KEYS, host=HOST)
    with pytest.raises(ForeignLabelError):
        service.genuine(forged, KEYS, host="OTHER.EXAMPLE")
    with pytest.raises(MalformedLabelError):
        service.genuine("https://example.org/", KEYS, host=HOST)


def test_a_label_without_a_row_and_with_a_wrong_mac_is_forged() -> None:
    stranger = LabelKeys(secrets={"A": b"x" * 32}, current="A")
    parts = service.genuine(mint(stranger, host=HOST, label_id="0000000000", generation=1), stranger, host=HOST)
    assert isinstance(service.without_row(parts, KEYS), ForgedLabelError)


def test_a_device_has_at_most_a_hundred_labels(city: Connection) -> None:
    for _ in range(GENERATION_MAX):
        _mint(city)
    with pytest.raises(TooManyLabelsError):
        _mint(city)


def test_an_unknown_device_gets_no_label(city: Connection) -> None:
    with pytest.raises(UnknownDeviceError):
        _mint(city, "CCCCCCCCCC")
    with pytest.raises(UnknownDeviceError):
        service.of_device(city, "CCCCCCCCCC")
    assert _audit(city) == []


def test_a_label_is_printed_again_as_it_was_though_there_is_a_new_key(city: Connection) -> None:
    printed = _mint(city)
    assert service.printed(city, printed.label.id, PRINTER) == printed
    assert service.printed(city, printed.label.id, Printer(LabelKeys(KEYS.secrets, current="B"), HOST)) == printed
    _check(city, printed)


def test_a_label_whose_key_is_retired_opens_nothing_and_is_not_printed(city: Connection) -> None:
    printed = service.mint(city, BIKE, Printer(LabelKeys({"Y": b"y" * 32}, current="Y"), HOST), BY)
    with pytest.raises(RevokedLabelError, match="Y is retired"):
        service.printed(city, printed.label.id, PRINTER)
    with pytest.raises(ForgedLabelError):
        service.genuine(printed.text, KEYS, host=HOST)


def test_a_revoked_label_is_not_printed(city: Connection) -> None:
    printed = _mint(city)
    _revoke(city, printed)
    with pytest.raises(RevokedLabelError):
        service.printed(city, printed.label.id, PRINTER)


def test_a_sheet_takes_the_newest_label_in_force_of_each_device_in_order(city: Connection) -> None:
    first, second, third, pod = _mint(city), _mint(city, keep=True), _mint(city, keep=True), _mint(city, POD)
    _revoke(city, third)
    assert service.newest_printed(city, [POD, BIKE, POD], PRINTER) == [pod, second, pod]
    _revoke(city, second)
    assert service.newest_printed(city, [BIKE], PRINTER) == [first]
    _revoke(city, first)
    with pytest.raises(UnknownLabelError) as caught:
        service.newest_printed(city, [POD, BIKE, "CCCCCCCCCC"], PRINTER)
    assert caught.value.extra == {"device_ids": [BIKE, "CCCCCCCCCC"]}


async def test_labels_minted_at_once_get_different_generations(
    database: Database, add_devices: Callable[[Connection], None]
) -> None:
    await database.write(add_devices)
    printed = await asyncio.gather(*(database.write(_mint) for _ in range(20)))
    assert sorted(one.label.generation for one in printed) == list(range(1, 21))
