from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.session_service.cli.running import Unlatch


@pytest.fixture
def acted(installed: Unlatch) -> Unlatch:
    """An installation in which three things were done."""
    for name in ("Ada", "Bea", "Cleo"):
        assert installed("operator", "add", name).status == 0
    return installed


def tamper(sqlite_url: str, statement: str) -> None:
    with sqlite3.connect(Path(str(make_url(sqlite_url).database))) as connection:
        connection.execute("DROP TRIGGER IF EXISTS audit_no_update")
        connection.execute("DROP TRIGGER IF EXISTS audit_no_delete")
        connection.execute(statement)


def test_a_whole_audit_is_called_right(acted: Unlatch) -> None:
    said = acted("audit", "verify")
    head = acted("audit", "head").out.strip()
    assert (said.status, said.err) == (0, "")
    assert said.out == f"right=3 broken=0 head={head}\n"
    assert re.fullmatch(r"[0-9a-f]{64}", head)
    assert acted("audit", "verify", "--head", head.upper(), "--from", "2").status == 0


def test_a_changed_row_is_named_and_the_exit_is_1(acted: Unlatch, sqlite_url: str) -> None:
    tamper(sqlite_url, "UPDATE audit SET actor = 'cli:nobody' WHERE id = 2")
    said = acted("audit", "verify")
    assert (said.status, said.out.split()[:2]) == (1, ["right=2", "broken=1"])
    assert said.err.startswith("row 2: its content does not have its hash")
    assert acted("audit", "verify", "--from", "3").status == 0


def test_removed_newest_rows_are_noticed_with_a_head_kept_elsewhere(acted: Unlatch, sqlite_url: str) -> None:
    head = acted("audit", "head").out.strip()
    tamper(sqlite_url, "DELETE FROM audit WHERE id = 3")
    assert acted("audit", "verify").status == 0
    said = acted("audit", "verify", "--head", head)
    assert said.status == 1
    assert head in said.err


@pytest.mark.server
def test_it_works_on_postgresql(installed_on_postgres: Unlatch) -> None:
    installed_on_postgres("operator", "add", "Ada")
    assert installed_on_postgres("audit", "verify").out.startswith("right=1 broken=0 head=")
    assert installed_on_postgres("audit", "list").out.startswith("1  ")


def test_the_list_is_newest_first_and_filtered(acted: Unlatch) -> None:
    lines = acted("audit", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == ["3", "2", "1"]
    _, _, actor, action, subject, *_ = lines[0].split()
    assert (action, subject.partition(":")[0]) == ("operator.add", "operator")
    assert acted("audit", "list", "--subject", subject).out.splitlines() == lines[:1]
    assert acted("audit", "list", "--actor", actor).out.splitlines() == lines
    assert acted("audit", "list", "--actor", "cli:somebody-else").out == ""
    assert acted("audit", "list", "--limit", "1", "--before", "3").out.splitlines() == lines[1:2]


@pytest.mark.parametrize(
    "wrong", [("--from", "0"), ("--from", "x"), ("--head", "abc"), ("--head", "g" * 64), ("--from", "9" * 20)]
)
def test_a_wrong_argument_is_a_wrong_usage(installed: Unlatch, wrong: tuple[str, str]) -> None:
    assert installed("audit", "verify", *wrong).status == 2


@pytest.mark.parametrize("limit", ["0", "-1", "10001", "x"])
def test_a_list_has_bounds(installed: Unlatch, limit: str) -> None:
    assert installed("audit", "list", "--limit", limit).status == 2


def test_who_reads_is_told_what_only_a_kept_hash_can_show(installed: Unlatch) -> None:
    for command in ("verify", "head"):
        assert "newest rows were removed" in " ".join(installed("audit", command, "--help").out.split())
