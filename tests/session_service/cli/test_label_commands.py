"""`unlatch label` and `unlatch presence`: generations, batches, keys, and what Start asks for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyotp
import pytest

from broker.contract.keys import new_report_key, public_pem
from session_service.cli import labels
from tests.session_service.cli.running import Unlatch

PEM = public_pem(new_report_key().public_key())


@pytest.fixture
def depot(installed: Unlatch, home: Path) -> Unlatch:
    """Return the commands of an installation that has five bikes, numbers 1 to 5."""
    lines = [json.dumps({"kind": "bike", "number": number, "report_key_pem": PEM}) for number in range(1, 6)]
    (home / "devices.jsonl").write_text("\n".join(lines))
    assert installed("device", "import", "devices.jsonl").status == 0
    return installed


def pages(pdf: Path) -> int:
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf.read_bytes()))


def test_a_new_label_ends_the_old_one_unless_it_waits_for_its_mounting(depot: Unlatch) -> None:
    ids = [depot("label", "mint", "1", *more).out.split()[0] for more in ((), ("--keep-old-until-mounted",))]
    assert depot("label", "mounted", ids[1], "--reason", "on the frame").status == 0
    said = depot("label", "mounted", ids[0], "--reason", "it came off")
    assert (said.status, "revoked" in said.err) == (1, True)
    assert depot("label", "reinstate", ids[1], "--reason", "it is right").status == 0


def test_a_batch_mints_what_is_missing_and_is_cut_into_files(
    depot: Unlatch, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "SHEET_MAX_LABELS", 2)
    monkeypatch.setattr(labels, "MINTED_AT_ONCE", 2)
    first = depot("label", "mint", "1").out.split()[0]
    said = depot("label", "sheet", "--all", "--mint", "missing", "--printed", "--out", "depot.pdf")
    assert said.out.splitlines() == [
        "2 labels in depot-1.pdf",
        "2 labels in depot-2.pdf",
        "1 labels in depot-3.pdf",
    ]
    assert [pages(home / f"depot-{part}.pdf") for part in (1, 2, 3)] == [1, 1, 1]
    assert depot("label", "revoke", first, "--reason", "torn").status == 0


@pytest.mark.parametrize("wrong", [(), ("1", "--all"), ("1", "--tamper-text", "\u2603")])
def test_a_batch_of_nothing_or_of_signs_that_the_font_lacks_is_refused(depot: Unlatch, wrong: tuple[str, ...]) -> None:
    depot("label", "mint", "1")
    said = depot("label", "sheet", *wrong)
    assert (said.status, said.out) == (1, "")
    assert len(said.err.splitlines()) == 1


def test_keys_are_rotated_and_retired_when_nothing_needs_them_any_more(depot: Unlatch) -> None:
    old = depot("label", "mint", "1").out.split()[1]
    assert depot("label", "keys", "list").out == "A       1 labels in force  signs new labels\n"
    rotated = depot("label", "keys", "rotate", "--reason", "once a year")
    assert "B       0 labels in force  signs new labels" in rotated.out
    assert "no restart is needed" in rotated.out
    refused = depot("label", "keys", "retire", "A", "--reason", "once a year")
    assert (refused.status, refused.err.count("1 labels in force")) == (1, 1)
    new = depot("label", "mint", "1").out.split()[1]
    assert [text.split("/")[5][0] for text in (old, new)] == ["A", "B"]
    assert depot("label", "keys", "retire", "A", "--reason", "once a year").status == 0
    assert depot("label", "keys", "list").out == "B       1 labels in force  signs new labels\n"


def test_a_leaked_key_is_retired_by_force(depot: Unlatch) -> None:
    depot("label", "mint", "1")
    depot("label", "keys", "rotate", "--reason", "A has leaked")
    assert depot("label", "keys", "retire", "A", "--reason", "it has leaked", "--force").status == 0
    said = depot("label", "sheet", "1")
    assert (said.status, "retired" in said.err) == (1, True)


def test_what_start_asks_for_is_shown_and_set_one_by_one(depot: Unlatch) -> None:
    assert depot("presence", "show", "1").out == "confirm-number never  distance never  display-code off\n"
    depot("presence", "set", "1", "--confirm-number", "in_doubt", "--reason", "a busy rack")
    depot("presence", "set", "1", "--distance", "always", "--reason", "a busy rack")
    assert depot("presence", "show", "1").out == "confirm-number in_doubt  distance always  display-code off\n"
    refused = depot("presence", "set", "1", "--display-code", "on", "--reason", "a display")
    assert (refused.status, "display-secret" in refused.err) == (1, True)
    uri = depot("presence", "secret", "1", "--reason", "a display").out.strip()
    assert isinstance(pyotp.parse_uri(uri), pyotp.TOTP)
    assert depot("presence", "set", "1", "--display-code", "on", "--reason", "a display").status == 0
