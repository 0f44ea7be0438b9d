from __future__ import annotations

import importlib
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Inspector, inspect, text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import SQLModel

import session_service
from session_service import migrations
from session_service.errors import SetupError
from tests.support.databases import BOTH
from tests.support.postgres import Postgres

for module in pkgutil.walk_packages(session_service.__path__, "session_service."):
    if module.name.endswith(".model") or module.name == "session_service.idempotency":
        importlib.import_module(module.name)

T = TypeVar("T")
NewUrl = Callable[[], str]
APPEND_ONLY = ("transfer", "posting", "hold_end", "report", "session_event", "audit")


@pytest.fixture(scope="module", params=BOTH)
def new_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NewUrl:
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        return server.new_database
    return lambda: f"sqlite:///{tmp_path_factory.mktemp('db')}/unlatch.db"


@pytest.fixture(scope="module")
def migrated(new_url: NewUrl) -> str:
    url = new_url()
    migrations.migrate(url)
    return url


def on(url: str, work: Callable[[Connection], T]) -> T:
    return migrations._on(url, work, writes=True)


def run(url: str, *statements: str) -> None:
    def work(connection: Connection) -> None:
        for statement in statements:
            connection.execute(text(statement))

    on(url, work)


def refused(url: str, *statements: str) -> str:
    """Run the statements, of which the last must be refused, in a transaction that leaves nothing; return why."""
    with pytest.raises(SetupError) as caught:
        run(url, *statements)
    assert isinstance(caught.value.__cause__, SQLAlchemyError)
    return str(caught.value)


def rules(inspector: Inspector) -> dict[str, object]:
    """Return what autogenerate does not compare: checks, and which rows partial indexes hold."""
    found: dict[str, object] = {}
    for table in inspector.get_table_names():
        for check in inspector.get_check_constraints(table):
            found[f"{table}.{check['name']}"] = re.sub(r"\s+", " ", check["sqltext"])
        for index in inspector.get_indexes(table):
            options = {key: str(value) for key, value in index.get("dialect_options", {}).items()}
            found[f"{table}.{index['name']}"] = (index["column_names"], index["unique"], options)
    return found


def test_models_and_migration_describe_the_same_tables(migrated: str) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, SQLModel.metadata))

    assert on(migrated, differences) == []


def test_models_and_migration_have_the_same_checks_and_partial_indexes(migrated: str, new_url: NewUrl) -> None:
    modelled = new_url()
    on(modelled, SQLModel.metadata.create_all)
    wanted = on(modelled, lambda connection: rules(inspect(connection)))
    found = on(migrated, lambda connection: rules(inspect(connection)))
    assert found == wanted
    assert "wallet.wallet_balance" in found
    assert "cleared_at_ms IS NULL" in str(found["device_alert.device_alert_open"])


def test_migrating_again_changes_nothing(new_url: NewUrl) -> None:
    url = new_url()
    assert migrations.revision_of(url) is None
    assert not migrations.is_current(url)
    first = migrations.migrate(url)
    before = on(url, lambda connection: rules(inspect(connection)))
    assert migrations.migrate(url) == first == migrations.revision_of(url)
    assert migrations.is_current(url)
    assert on(url, lambda connection: rules(inspect(connection))) == before


@pytest.mark.server
def test_instances_that_start_together_migrate_once(new_url: NewUrl) -> None:
    url = new_url()
    program = [sys.executable, "-c", f"from session_service.migrations import migrate; migrate({url!r})"]
    instances = [subprocess.Popen(program) for _ in range(3)]
    assert [instance.wait(timeout=60) for instance in instances] == [0, 0, 0]
    assert migrations.is_current(url)


def test_a_schema_of_a_newer_program_is_refused(new_url: NewUrl) -> None:
    url = new_url()
    migrations.migrate(url)
    run(url, "UPDATE alembic_version SET version_num = '29990101_future'")
    with pytest.raises(SetupError, match="newer version"):
        migrations.migrate(url)
    assert not migrations.is_current(url)


MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on, contracts = {revision!r}, {before!r}, None, None, {contracts}


def upgrade() -> None:
    op.add_column("tariff", sa.Column({revision!r}, sa.Text, nullable=True))
"""


@pytest.mark.parametrize("contracts", [False, True], ids=["that adds", "that takes away"])
def test_a_program_works_on_beside_the_next_one_and_not_beside_the_one_after(
    new_url: NewUrl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, contracts: bool
) -> None:
    url, first = new_url(), migrations.newest_revision()
    migrations.migrate(url)
    shipped, ours = migrations._config(), migrations._config()
    folder = shutil.copytree(Path(migrations.__file__).parent, tmp_path / "migrations")
    ours.set_main_option("script_location", str(folder))
    found = []
    for revision, before in (("next", first), ("after", "next")):
        takes = contracts and revision == "next"
        script = MIGRATION.format(revision=revision, before=before, contracts=takes)
        (folder / "versions" / f"{revision}.py").write_text(script)
        monkeypatch.setattr(migrations, "_config", lambda: ours)
        assert migrations.migrate(url) == revision
        assert migrations.serves(url)
        monkeypatch.setattr(migrations, "_config", lambda: shipped)
        found.append(migrations.serves(url))
    assert found == [not contracts, False]


@pytest.mark.server
def test_a_migration_waits_for_a_table_no_longer_than_riders_can_who_wait_behind_it(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, first = postgres.new_database(), migrations.newest_revision()
    migrations.migrate(url)
    ours = migrations._config()
    folder = shutil.copytree(Path(migrations.__file__).parent, tmp_path / "migrations")
    ours.set_main_option("script_location", str(folder))
    (folder / "versions" / "next.py").write_text(MIGRATION.format(revision="next", before=first, contracts=False))
    monkeypatch.setattr(migrations, "_config", lambda: ours)
    monkeypatch.setattr(migrations, "TABLE_WAIT_MS", 50)

    def meet(connection: Connection) -> None:
        connection.execute(text("SELECT * FROM tariff"))  # as a backup does, for as long as it takes
        with ThreadPoolExecutor(1) as other, pytest.raises(SetupError, match="Nothing has changed"):
            other.submit(migrations.migrate, url).result()

    on(url, meet)
    assert migrations.revision_of(url) == first
    assert migrations.migrate(url) == "next"


def test_a_migration_that_fails_leaves_nothing_behind(new_url: NewUrl) -> None:
    url = new_url()
    run(url, "CREATE TABLE audit (id INTEGER)")  # stands in the way of a late step
    with pytest.raises(SetupError, match="audit"):
        migrations.migrate(url)
    assert on(url, lambda connection: inspect(connection).get_table_names()) == ["audit"]


@pytest.mark.server
@pytest.mark.parametrize(
    "url",
    ["sqlite:////nowhere/at/all.db", "postgresql+asyncpg://me:secret@127.0.0.1:9/db"],
    ids=["sqlite", "postgresql"],
)
def test_an_unreachable_database_is_named_without_its_password(url: str) -> None:
    with pytest.raises(SetupError, match="UNLATCH_DATABASE_URL") as caught:
        migrations.migrate(url)
    assert "secret" not in str(caught.value)


def test_asking_for_the_revision_makes_no_file(tmp_path: Path) -> None:
    assert migrations.revision_of(f"sqlite:///{tmp_path}/new.db") is None
    assert list(tmp_path.iterdir()) == []


DEVICE = (
    "INSERT INTO device (id, kind, number, site, service, service_reason, service_since_ms,"
    " created_at_ms) VALUES ('D000000001', 'bike', 1, '', 'ready', '', 0, 0)"
)
LABEL = (
    "INSERT INTO label (id, device_id, generation, minted_at_ms, key_id, suspended_reason, revoked_reason)"
    " VALUES ('L000000001', 'D000000001', 1, 0, 'A', '', '')"
)
RIDER = "INSERT INTO rider (id, token_nonce, created_at_ms) VALUES ('R1', 'n', 0)"
ACCOUNTS = "INSERT INTO account (id, kind, currency) VALUES ('a', 'wallet', 'EUR'), ('b', 'revenue', 'EUR')"
TRANSFER = "INSERT INTO transfer (id, key, fingerprint, kind, at_ms) VALUES ('T1', 'k', 'f', 'fare', 0)"
HOLD = (
    "INSERT INTO hold (id, rider_id, session_id, amount_minor, currency, created_at_ms)"
    " VALUES ('H1', 'R1', 'S1', 5, 'EUR', 0)"
)
HOLD_END = "INSERT INTO hold_end (hold_id, kind, transfer_id, at_ms) VALUES ('H1', 'posted', 'T1', 0)"
REPORT = (
    "INSERT INTO report (journal_id, seq, device_id, boot_id, uptime_ms, kind, at_ms, received_at_ms, token)"
    " VALUES ('J1', 1, 'D000000001', 'B1', 0, 'bolt', 0, 0, '')"
)
AUDIT = (
    "INSERT INTO audit (id, at_ms, actor, action, subject, why, previous, hash)"
    " VALUES (1, 0, 'a', 'b', 'c', '', '', '')"
)


def posting(**changed: object) -> str:
    row = {"transfer_id": "T1", "leg": 1, "debit_account": "a", "credit_account": "b", "currency": "EUR"}
    return insert("posting", {**row, "amount_minor": 5, **changed})


def session(**changed: object) -> str:
    row: dict[str, object] = {"id": "S1", "rider_id": "R1", "device_id": "D000000001", "label_id": "L000000001"}
    row |= {"kind": "bike", "number": 1, "state": "active", "currency": "EUR", "tariff": "", "hold_id": "H1"}
    row |= {"hold_minor": 5, "command_id": "C1", "created_at_real_ms": 0, "requested_at_ms": 0, "version": 0}
    return insert("session", row | {"fare_minor": 0, "paid_minor": 0} | changed)


def event(**changed: object) -> str:
    row: dict[str, object] = {"session_id": "S1", "seq": 1, "event": "locked", "from_state": "a", "to_state": "b"}
    row |= {"actor": "x", "at_real_ms": 0, "at_ms": 0, "journal_id": "J1", "report_seq": 1, "snapshot": ""}
    return insert("session_event", row | changed)


def insert(table: str, row: dict[str, object]) -> str:
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(map(repr, row.values()))})"  # noqa: S608


GROUND = (DEVICE, LABEL, RIDER, ACCOUNTS, TRANSFER, posting(), HOLD, HOLD_END, REPORT, session(), event(), AUDIT)


@pytest.fixture(scope="module")
def filled(new_url: NewUrl) -> str:
    """A database with a row in every table that has rules."""
    url = new_url()
    migrations.migrate(url)
    run(url, *GROUND)
    return url


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = {}", "DELETE FROM {}"])
def test_records_cannot_be_changed(filled: str, table: str, change: str) -> None:
    column = "amount_minor" if table == "posting" else "at_ms"
    assert f"{table} is append-only" in refused(filled, change.format(table, column, 7))


OTHER_DEVICE = DEVICE.replace("D000000001", "D000000002")
WALLET = (
    "INSERT INTO wallet (rider_id, currency, balance_minor, held_minor, debt_minor) VALUES ('R1', 'EUR', {}, {}, {})"
)
ALERT = (
    "INSERT INTO device_alert (id, device_id, site, kind, severity, detail, opened_at_ms, last_at_ms, seen_count,"
    " version, cleared_at_ms) VALUES ('{}', 'D000000001', '', 'jammed', 'major', '', 0, 0, 1, 1, {})"
)
TOP_UP = (
    "INSERT INTO top_up (id, rider_id, amount_minor, currency, status, provider, created_at_ms)"
    " VALUES ('U1', 'R1', {}, 'EUR', '{}', 'sandbox', 0)"
)


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param([OTHER_DEVICE], id="a number twice"),
        pytest.param([OTHER_DEVICE.replace(", 1, ''", ", 0, ''")], id="no number"),
        pytest.param([OTHER_DEVICE.replace(", 1, ''", ", 2, ''").replace("bike", "boat")], id="another kind"),
        pytest.param([OTHER_DEVICE.replace(", 1, ''", ", 2, ''").replace("ready", "lost")], id="another service"),
        pytest.param([LABEL.replace("L000000001", "L000000002")], id="a generation twice"),
        pytest.param([LABEL.replace("L000000001", "L000000002").replace(", 1, 0", ", 0, 0")], id="generation 0"),
        pytest.param([WALLET.format(-1, 0, 0)], id="a negative balance"),
        pytest.param([WALLET.format(5, 6, 0)], id="more held than there is"),
        pytest.param([WALLET.format(5, -1, 0)], id="a negative hold"),
        pytest.param([WALLET.format(5, 5, -1)], id="a negative debt"),
        pytest.param([posting(leg=2, amount_minor=0)], id="a posting of nothing"),
        pytest.param([posting(leg=2, credit_account="a")], id="a posting to itself"),
        pytest.param([posting(leg=2, currency="USD")], id="a posting in a currency that the account has not"),
        pytest.param([posting(leg=2, transfer_id="T9")], id="a posting of no transfer"),
        pytest.param([TRANSFER.replace("T1", "T2")], id="a transfer key twice"),
        pytest.param([HOLD_END.replace("posted", "released")], id="a second end of a hold"),
        pytest.param([HOLD.replace("H1", "H2")], id="a second hold of a session"),
        pytest.param([HOLD.replace("H1", "H2").replace("S1", "S2").replace(", 5,", ", 0,")], id="a hold of nothing"),
        pytest.param([TOP_UP.format(0, "pending")], id="a top-up of nothing"),
        pytest.param([TOP_UP.format(1, "perhaps")], id="a top-up in another status"),
        pytest.param([REPORT], id="a report twice"),
        pytest.param([session(id="S2")], id="two live sessions of a device"),
        pytest.param([session(id="S2", state="gone")], id="a session in another state"),
        pytest.param([session(id="S2", state="closed", fare_minor=1, paid_minor=2)], id="more paid than the fare"),
        pytest.param([session(id="S2", state="closed", rider_id="R9")], id="a session of nobody"),
        pytest.param([event(seq=2, report_seq=9)], id="an event on evidence that there is not"),
        pytest.param([ALERT.format("A1", "NULL"), ALERT.format("A2", "NULL")], id="two open alerts of a kind"),
    ],
)
def test_the_database_refuses(filled: str, statements: list[str]) -> None:
    assert "constraint" in refused(filled, *statements).lower()


def test_the_database_takes_what_is_right(filled: str) -> None:
    """The rows of the refusals above are wrong in nothing but what each is named for."""

    def work(connection: Connection) -> None:
        with connection.begin_nested() as nothing:
            for statement in (
                OTHER_DEVICE.replace(", 1, ''", ", 2, ''"),
                LABEL.replace("L000000001", "L000000002").replace(", 1, 0", ", 2, 0"),
                WALLET.format(5, 5, 0),
                posting(leg=2),
                HOLD.replace("H1", "H2").replace("S1", "S2"),
                TOP_UP.format(1, "pending"),
                session(id="S2", state="closed", fare_minor=2, paid_minor=2),
                event(seq=2),
                ALERT.format("A1", "0"),
                ALERT.format("A2", "NULL"),
            ):
                connection.execute(text(statement))
            nothing.rollback()

    on(filled, work)
