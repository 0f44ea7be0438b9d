from __future__ import annotations

import json
import re
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.contract.keys import new_report_key, public_pem
from session_service.cli.program import MODULES, _parser
from session_service.writer_lock import writer_lock
from tests.session_service.cli.running import Unlatch

PEM = public_pem(new_report_key().public_key())


def commands(parser: ArgumentParser, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for action in parser._actions:
        if isinstance(action, _SubParsersAction):
            for name, child in action.choices.items():
                yield from commands(child, (*path, name))


@pytest.mark.parametrize("command", list(commands(_parser())), ids=" ".join)
def test_each_command_helps_with_an_example(unlatch: Unlatch, command: tuple[str, ...]) -> None:
    said = unlatch(*command, "--help")
    assert said.status == 0
    example = said.out.partition("example:\n")[2]
    assert re.search(rf"unlatch {' '.join(command)}", example)


def test_the_table_of_modules_names_each_command() -> None:
    assert {path[0] for path in commands(_parser()) if path} == MODULES.keys()


@pytest.mark.parametrize(
    "command", [(), ("sing",), ("operator",), ("operator", "add"), ("device", "add", "--kind", "x")]
)
def test_wrong_usage_exits_2(unlatch: Unlatch, command: tuple[str, ...]) -> None:
    said = unlatch(*command)
    assert (said.status, said.out) == (2, "")
    assert "usage: unlatch" in said.err


# -- Setting up


def test_migrate_makes_the_database_and_says_so_again(unlatch: Unlatch, home: Path) -> None:
    first, again = unlatch("migrate"), unlatch("migrate")
    assert (first.status, again.status) == (0, 0)
    assert first.out == again.out != ""
    assert (home / "unlatch.db").is_file()


def test_secrets_are_made_once_and_for_their_owner_only(unlatch: Unlatch, home: Path) -> None:
    first, again = unlatch("secrets"), unlatch("secrets")
    assert (first.status, again.status) == (0, 0)
    assert len(first.out.splitlines()) == 5
    assert again.out == "Nothing is missing in secrets.\n"
    assert {path.stat().st_mode & 0o077 for path in (home / "secrets").iterdir()} == {0}


def test_a_command_before_migrate_says_so(unlatch: Unlatch, home: Path) -> None:
    said = unlatch("operator", "list")
    assert (said.status, said.out) == (1, "")
    assert "unlatch migrate" in said.err
    assert not (home / "unlatch.db").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("UNLATCH_DATABASE_URL", "mysql://localhost/unlatch"),
        ("UNLATCH_HTTP_PORT", "many"),
        ("UNLATCH_CURRENCY", "euro"),
    ],
)
def test_a_wrong_setting_is_named(unlatch: Unlatch, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    said = unlatch("operator", "list")
    assert said.status == 1
    assert name in said.err


def test_a_folder_that_is_not_there_is_named(unlatch: Unlatch) -> None:
    said = unlatch("migrate", "--database", "sqlite:////no/where/unlatch.db")
    assert said.status == 1
    assert "mkdir -p /no/where" in said.err
    assert len(said.err.splitlines()) == 1


# -- Operators


def test_an_operators_token_is_shown_once(installed: Unlatch) -> None:
    added = installed("operator", "add", "Ada")
    assert added.status == 0
    assert re.fullmatch(r"op_local_[0-9A-Z]{32}\n", added.out)
    listed = installed("operator", "list")
    assert "Ada" in listed.out
    assert "active" in listed.out
    assert added.out.strip() not in listed.out
    assert installed("operator", "revoke", "Ada").status == 0
    assert "revoked" in installed("operator", "list").out


@pytest.mark.parametrize(
    ("command", "hint"),
    [(("add", "Ada"), "another name"), (("revoke", "Bea"), "unlatch operator list")],
)
def test_a_refusal_is_one_line_that_says_what_to_do(installed: Unlatch, command: tuple[str, ...], hint: str) -> None:
    installed("operator", "add", "Ada")
    said = installed("operator", *command)
    assert (said.status, said.out) == (1, "")
    assert hint in said.err
    assert len(said.err.splitlines()) == 1


PASSWORD = "eleven grey herons"


def roles(unlatch: Unlatch) -> dict[str, list[str]]:
    """Return role and kind of each operator that is listed, by name."""
    lines = [line.split() for line in unlatch("operator", "list").out.splitlines()]
    return {line[-1]: line[-3:-1] for line in lines}


def test_the_first_operator_is_an_admin_and_others_what_is_said(installed: Unlatch) -> None:
    for arguments in (["Ada"], ["Bea"], ["Cem", "--role", "technician"]):
        assert installed("operator", "add", *arguments).status == 0
    assert roles(installed) == {
        "Ada": ["admin", "token"],
        "Bea": ["viewer", "token"],
        "Cem": ["technician", "token"],
    }
    assert installed("operator", "set-role", "Bea", "operator").status == 0
    assert roles(installed)["Bea"] == ["operator", "token"]
    assert installed("operator", "set-role", "Bea", "king").status == 2


def test_a_person_has_a_password_and_no_token(installed: Unlatch, home: Path) -> None:
    (home / "password").write_text(f"{PASSWORD}\n")
    added = installed("operator", "add", "Ada", "--password-file", "password")
    assert added.status == 0
    assert "op_" not in added.out
    assert PASSWORD not in added.out
    assert roles(installed)["Ada"] == ["admin", "password"]
    assert installed("operator", "set-password", "Ada", "--password-file", "password").status == 0


def test_a_password_is_asked_for_twice(installed: Unlatch, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter([PASSWORD, PASSWORD, PASSWORD, PASSWORD + "!"])
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(typed))
    assert installed("operator", "add", "Ada", "--password").status == 0
    said = installed("operator", "set-password", "Ada")
    assert (said.status, said.out) == (1, "")
    assert "differ" in said.err


@pytest.mark.parametrize(("file", "hint"), [("none", "--password-file"), ("poor", "12 to 128 characters")])
def test_a_password_that_is_missing_or_poor_adds_nobody(installed: Unlatch, home: Path, file: str, hint: str) -> None:
    (home / "poor").write_text("short\n")
    said = installed("operator", "add", "Ada", "--password-file", file)
    assert (said.status, said.out) == (1, "")
    assert hint in said.err
    assert roles(installed) == {}


def test_codes_are_switched_on_with_what_an_app_reads_and_off(installed: Unlatch, home: Path) -> None:
    (home / "password").write_text(f"{PASSWORD}\n")
    installed("operator", "add", "Ada", "--password-file", "password")
    said = installed("operator", "totp", "Ada")
    assert re.fullmatch(r"otpauth://totp/Unlatch%20local:Ada\?secret=[A-Z2-7]{32}&issuer=Unlatch%20local\n", said.out)
    assert roles(installed)["Ada"] == ["admin", "password+code"]
    assert installed("operator", "totp", "Ada", "--off").status == 0
    assert roles(installed)["Ada"] == ["admin", "password"]


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 61])
def test_an_operators_name_fits_a_line(installed: Unlatch, name: str) -> None:
    assert installed("operator", "add", name).status == 2


# -- Devices


@pytest.fixture
def key_file(home: Path) -> str:
    (home / "key.pem").write_text(PEM)
    return "key.pem"


def test_a_device_is_added_and_listed(installed: Unlatch, key_file: str) -> None:
    added = installed("device", "add", "--kind", "pod", "--number", "17", "--report-key", key_file, "--site", "Harbour")
    made = json.loads(added.out)
    assert (made["number"], made["kind"], len(made["command_keys"])) == (17, "pod", 1)
    assert re.search(
        rf"17  {made['device_id']}  pod +ready +offline +never seen  Harbour", installed("device", "list").out
    )
    assert installed("device", "list", "--kind", "bike").out == ""


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (("--number", "many"), "number"),
        (("--number", "0"), "number"),
        (("--lat", "1"), "lat and lon"),
        (("--lat", "91", "--lon", "0"), "lat"),
        (("--report-key", "nowhere.pem"), "nowhere.pem"),
        (("--report-key", "."), "Cannot read"),
        (("--site", "a\nb"), "site"),
    ],
)
def test_a_wrong_device_is_refused_with_a_reason(
    installed: Unlatch, key_file: str, wrong: tuple[str, ...], hint: str
) -> None:
    right = ("device", "add", "--kind", "pod", "--number", "17", "--report-key", key_file)
    said = installed(*right, *wrong)
    assert (said.status, said.out) == (1, "")
    assert hint in said.err
    assert len(said.err.splitlines()) == 1
    assert installed("device", "list").out == ""


def line(number: int, **changed: object) -> str:
    return json.dumps({"kind": "bike", "number": number, "report_key_pem": PEM, **changed})


def test_devices_are_imported(installed: Unlatch, home: Path) -> None:
    (home / "devices.jsonl").write_text("\n".join([line(3), "", line(4), line(5)]))
    imported = installed("device", "import", "devices.jsonl")
    assert [json.loads(made)["number"] for made in imported.out.splitlines()] == [3, 4, 5]
    assert len(installed("device", "list").out.splitlines()) == 3


@pytest.mark.parametrize(
    ("lines", "hint"),
    [
        ([line(3), line(3)], "Number 3"),
        ([line(3), line(4, kind="boat")], "Line 2"),
        ([line(3), "{"], "Line 2"),
        ([line(3), line(4, report_key_pem="x")], "P-256"),
    ],
)
def test_an_import_is_all_or_nothing(installed: Unlatch, home: Path, lines: list[str], hint: str) -> None:
    (home / "devices.jsonl").write_text("\n".join(lines))
    said = installed("device", "import", "devices.jsonl")
    assert (said.status, said.out) == (1, "")
    assert hint in said.err
    assert installed("device", "list").out == ""


# -- Labels


def test_a_label_is_minted_printed_and_revoked(installed: Unlatch, key_file: str, home: Path) -> None:
    installed("device", "add", "--kind", "pod", "--number", "17", "--report-key", key_file)
    minted = installed("label", "mint", "17")
    label_id, text = minted.out.split()
    assert text.startswith(f"HTTPS://127.0.0.1:8080/L/{label_id}/")
    sheet = installed("label", "sheet", "17", "--out", "sheet.pdf")
    assert (sheet.status, (home / "sheet.pdf").read_bytes()[:5]) == (0, b"%PDF-")
    assert installed("label", "revoke", label_id, "--reason", "torn").status == 0
    said = installed("label", "sheet", "17", "--out", "other.pdf")
    assert (said.status, (home / "other.pdf").exists()) == (1, False)


def test_a_device_is_found_by_its_id_too(installed: Unlatch, key_file: str) -> None:
    added = installed("device", "add", "--kind", "pod", "--number", "17", "--report-key", key_file)
    assert installed("label", "mint", json.loads(added.out)["device_id"]).status == 0


@pytest.mark.parametrize("device", ["18", "0000000000", "99999999999", "²", "nothing"])
def test_a_device_that_is_not_there(installed: Unlatch, device: str) -> None:
    said = installed("label", "mint", device)
    assert said.status == 1
    assert "unlatch device list" in said.err


# -- Checks


def test_new_books_are_right(installed: Unlatch) -> None:
    said = installed("ledger", "check")
    assert (said.status, said.out) == (0, "sum_minor=0 problems=0\n")


def test_check_passes_when_all_is_there(installed: Unlatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("session_service.cli.check._broker", lambda _: "as if")
    said = installed("check")
    assert said.status == 0
    assert [row.split(":")[0] for row in said.out.splitlines()] == [
        "settings",
        "secrets",
        "database",
        "ledger",
        "broker",
    ]
    assert all(": OK" in row for row in said.out.splitlines())


def test_check_names_what_is_missing(unlatch: Unlatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("session_service.cli.check._broker", lambda _: "as if")
    said = unlatch("check")
    rows = dict(row.split(":", 1) for row in said.out.splitlines())
    assert said.status == 1
    assert "unlatch secrets" in rows["secrets"]
    assert "unlatch migrate" in rows["database"]
    assert rows["settings"] == " OK"


def test_check_finds_a_secret_that_others_can_read(
    installed: Unlatch, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setattr("session_service.cli.check._broker", lambda _: "as if")
    (home / "secrets" / "token-secret").chmod(0o640)
    said = installed("check")
    assert said.status == 1
    assert "chmod go= secrets/token-secret" in said.out


def test_check_says_which_setting_is_wrong(unlatch: Unlatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNLATCH_HTTP_PORT", "0")
    said = unlatch("check")
    assert said.status == 1
    assert "UNLATCH_HTTP_PORT" in said.out


# -- One writer


@pytest.mark.parametrize(
    "command",
    [
        ("migrate",),
        ("serve",),
        ("operator", "add", "Ada"),
        ("operator", "revoke", "Ada"),
        ("operator", "set-role", "Ada", "viewer"),
        ("operator", "totp", "Ada"),
        ("device", "import", "/dev/null"),
        ("label", "mint", "17"),
        ("label", "revoke", "X", "--reason", "x"),
    ],
)
def test_nothing_is_written_while_another_process_writes(
    unlatch: Unlatch, sqlite_url: str, command: tuple[str, ...]
) -> None:
    unlatch("secrets")
    with writer_lock(sqlite_url):
        said = unlatch(*command, "--database", sqlite_url)
        assert (said.status, said.out) == (1, "")
        assert "/v1/ops" in said.err
        assert unlatch("operator", "list", "--database", sqlite_url).status == 0
        assert unlatch("ledger", "check", "--database", sqlite_url).status == 0
    assert unlatch("operator", "add", "Ada", "--database", sqlite_url).status == 0


# -- PostgreSQL


@pytest.mark.server
def test_all_of_it_on_postgresql(installed_on_postgres: Unlatch, key_file: str) -> None:
    unlatch = installed_on_postgres
    assert unlatch("migrate").status == 0
    assert unlatch("operator", "add", "Ada").status == 0
    assert unlatch("operator", "add", "Ada").status == 1
    assert unlatch("device", "add", "--kind", "pod", "--number", "17", "--report-key", key_file).status == 0
    assert unlatch("device", "list").out.split()[0] == "17"
    assert unlatch("label", "mint", "17").status == 0
    assert unlatch("label", "sheet", "17").status == 0
    assert unlatch("ledger", "check").out == "sum_minor=0 problems=0\n"


@pytest.mark.server
def test_a_database_server_that_does_not_answer(unlatch: Unlatch) -> None:
    said = unlatch("migrate", "--database", "postgresql+asyncpg://me:secret@127.0.0.1:9/unlatch")
    assert said.status == 1
    assert "UNLATCH_DATABASE_URL" in said.err
    assert "secret" not in said.err
    assert "Traceback" not in said.err
