"""The first schema. Until the first release it is edited in place; after that a change is a new revision.

Types and rules follow the ``model.py`` of each noun; a test holds the two against each other on both databases.
"""

from __future__ import annotations

from typing import Final, TypeVar

import sqlalchemy as sa
from alembic import op

T = TypeVar("T")

revision = "20261122_initial"
down_revision = None
branch_labels = None
depends_on = None

APPEND_ONLY = ("transfer", "posting", "hold", "hold_end", "tariff", "report", "session_event", "audit")
"""Tables whose rows are money, evidence or the record of who did what: nobody changes them, whatever the code says."""

LIVE = "state IN ('active', 'held', 'locking', 'paused', 'settling', 'unknown', 'unlocking')"
UNANSWERED = "state IN ('created', 'published', 'accepted')"

KEY: Final = "primary key"
NULL: Final = "null"
UNIQUE: Final = "unique"


def upgrade() -> None:
    """Make all tables, then the triggers that keep records as they were written."""
    _registry()
    _identities()
    _presence()
    _riders()
    _ledger()
    _fleet()
    _sessions()
    _operators()
    _house()
    _telemetry()
    _takings()
    for table in APPEND_ONLY:
        _refuse_changes(table)


def downgrade() -> None:
    """Refuse: there is nothing before this revision.

    Raises:
        NotImplementedError: always.
    """
    msg = "There is no schema before the first one. To begin anew, make a new database and run: unlatch migrate"
    raise NotImplementedError(msg)


def _column(name: str, kind: sa.types.TypeEngine[T], options: tuple[str, ...]) -> sa.Column[T]:
    return sa.Column(name, kind, nullable=NULL in options, primary_key=KEY in options, unique=UNIQUE in options or None)


def _string(name: str, chars: int, *options: str) -> sa.Column[str]:
    return _column(name, sa.String(chars), options)


def _text(name: str, *options: str) -> sa.Column[str]:
    return _column(name, sa.Text(), options)


def _integer(name: str, *options: str) -> sa.Column[int]:
    return _column(name, sa.Integer(), options)


def _big(name: str, *options: str) -> sa.Column[int]:
    """Return a column of milliseconds or minor units."""
    return _column(name, sa.BigInteger(), options)


def _partial(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    op.create_index(name, table, columns, unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _index(table: str, *columns: str) -> None:
    for column in columns:
        op.create_index(f"ix_{table}_{column}", table, [column])


def _refuse_changes(table: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    op.execute(
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )


def _registry() -> None:
    op.create_table(
        "device",
        _string("id", 10, KEY),
        _text("kind"),
        _integer("number", UNIQUE),
        _text("site"),
        _text("service"),
        _text("service_reason"),
        _big("service_since_ms"),
        _big("created_at_ms"),
        _big("revoked_at_ms", NULL),
        sa.CheckConstraint("kind IN ('bike', 'pod')", name="device_kind"),
        sa.CheckConstraint("service IN ('ready', 'cleaning', 'held', 'maintenance', 'revoked')", name="device_service"),
        sa.CheckConstraint("(service = 'revoked') = (revoked_at_ms IS NOT NULL)", name="device_revoked_at"),
        sa.CheckConstraint("number > 0", name="device_number"),
    )
    _partial("device_cleaning", "device", ["service_since_ms"], "service = 'cleaning'")
    _partial("device_revoked", "device", ["revoked_at_ms"], "revoked_at_ms IS NOT NULL")
    _device_state()
    op.create_table(
        "device_boot",
        _string("device_id", 10, KEY),
        _string("boot_id", 36, KEY),
        _big("anchor_uptime_ms"),
        _big("anchor_at_ms"),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"]),
    )
    _alerts()
    op.create_table(
        "label",
        _string("id", 10, KEY),
        _string("device_id", 10),
        _integer("generation"),
        _big("minted_at_ms"),
        _string("key_id", 1),
        _big("printed_at_ms", NULL),
        _big("mounted_at_ms", NULL),
        _big("suspended_at_ms", NULL),
        _text("suspended_reason"),
        _big("revoked_at_ms", NULL),
        _text("revoked_reason"),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"]),
        sa.CheckConstraint("generation > 0", name="label_generation_positive"),
        sa.UniqueConstraint("device_id", "generation", name="label_generation"),
    )


def _alerts() -> None:
    table, active = "device_alert", "cleared_at_ms IS NULL"
    op.create_table(
        table,
        _string("id", 26, KEY),
        _string("device_id", 10, NULL),
        _text("site"),
        _string("kind", 40),
        _text("severity"),
        _text("detail"),
        _big("opened_at_ms"),
        _big("last_at_ms"),
        _integer("seen_count"),
        _integer("version"),
        _big("acknowledged_at_ms", NULL),
        _text("acknowledged_by", NULL),
        _string("assignee", 26, NULL),
        _big("muted_until_ms", NULL),
        _string("group_id", 26, NULL),
        _string("to_tell", 10, NULL),
        _big("told_at_ms", NULL),
        _big("cleared_at_ms", NULL),
        _text("cleared_by", NULL),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"]),
        sa.CheckConstraint("severity IN ('critical', 'major', 'minor', 'info')", name="device_alert_severity"),
        sa.CheckConstraint("(device_id IS NULL) = (kind = 'site_down')", name="device_alert_of"),
        sa.CheckConstraint("seen_count > 0 AND version > 0", name="device_alert_counts"),
        sa.CheckConstraint(
            "(acknowledged_at_ms IS NULL) = (acknowledged_by IS NULL)", name="device_alert_acknowledged"
        ),
        sa.CheckConstraint("to_tell IN ('raised', 'cleared')", name="device_alert_to_tell"),
    )
    _partial("device_alert_open", table, ["device_id", "kind"], active, unique=True)
    _partial("device_alert_site", table, ["site"], f"{active} AND device_id IS NULL", unique=True)
    _partial("device_alert_active", table, ["kind", "id"], active)
    _partial("device_alert_to_tell", table, ["id"], "to_tell IS NOT NULL")
    _partial("device_alert_cleared", table, ["cleared_at_ms"], "cleared_at_ms IS NOT NULL")
    op.create_index("device_alert_of_device", table, ["device_id", "kind", "id"])
    _index(table, "group_id")
    op.create_table(
        "alert_notice",
        _string("id", 26, KEY),
        _text("channel"),
        _text("subject"),
        _text("body"),
        _big("created_at_ms"),
        _big("next_at_ms"),
        _integer("tries"),
        _big("done_at_ms", NULL),
        _string("outcome", 10, NULL),
        sa.CheckConstraint("channel IN ('webhook', 'mail')", name="alert_notice_channel"),
        sa.CheckConstraint("tries >= 0", name="alert_notice_tries"),
    )
    _partial("alert_notice_waiting", "alert_notice", ["next_at_ms"], "done_at_ms IS NULL")
    _partial("alert_notice_done", "alert_notice", ["done_at_ms"], "done_at_ms IS NOT NULL")
    op.create_table(
        "alert_notice_of",
        _string("alert_id", 26, KEY),
        _string("notice_id", 26, KEY),
        sa.ForeignKeyConstraint(["notice_id"], ["alert_notice.id"]),
    )
    _index("alert_notice_of", "notice_id")
    op.create_table(
        "visit_note",
        _string("id", 26, KEY),
        _string("stop", 26),
        _big("at_ms"),
        _text("author"),
        _text("text"),
    )
    op.create_index("visit_note_of", "visit_note", ["stop", "id"])
    op.create_index("visit_note_at", "visit_note", ["at_ms"])
    op.create_table(
        "battery_mark",
        _string("device_id", 10, KEY),
        _integer("percent"),
        _big("at_ms"),
        _integer("next_percent"),
        _big("next_at_ms"),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"]),
    )


def _device_state() -> None:
    op.create_table(
        "device_state",
        _string("device_id", 10, KEY),
        _string("boot_id", 36, NULL),
        _big("seen_at_ms", NULL),
        _string("bolt", 10),
        sa.Column("door_shut", sa.Boolean(), nullable=True),
        sa.Column("occupied", sa.Boolean(), nullable=True),
        _integer("battery_percent", NULL),
        sa.Column("lat", sa.Float(), nullable=True),
        sa.Column("lon", sa.Float(), nullable=True),
        _big("position_at_ms", NULL),
        _big("outbox_depth"),
        _string("agent_version", 40),
        _string("journal_id", 36, NULL),
        _big("acked_through"),
        _big("config_revision"),
        _big("config_wanted"),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"]),
    )
    op.create_index("device_state_place", "device_state", ["lat", "lon"])
    _partial("device_state_unconfirmed", "device_state", ["device_id"], "config_revision <> config_wanted")
    op.create_table(
        "device_config",
        _string("device_id", 10, KEY),
        _big("revision", KEY),
        _big("keyring"),
        _string("key_ids", 80),
        _big("made_at_ms"),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"]),
    )


def _presence() -> None:
    op.create_table(
        "presence_policy",
        _string("device_id", 10, KEY),
        _text("confirm_number"),
        _text("distance"),
        sa.Column("display_code", sa.Boolean(), nullable=False),
        _integer("display_version"),
        _big("display_step"),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"]),
        sa.CheckConstraint("confirm_number IN ('never', 'in_doubt', 'always')", name="presence_confirm_number"),
        sa.CheckConstraint("distance IN ('never', 'if_known', 'always')", name="presence_distance"),
    )
    op.create_table(
        "label_sighting",
        _string("label_id", 10, KEY),
        sa.Column("lat", sa.Float(), nullable=False),
        sa.Column("lon", sa.Float(), nullable=False),
        _big("at_ms"),
        sa.ForeignKeyConstraint(["label_id"], ["label.id"]),
    )
    _index("label_sighting", "at_ms")


def _identities() -> None:
    op.create_table(
        "device_claim",
        _string("id", 26, KEY),
        _string("device_id", 10),
        _big("created_at_ms"),
        _big("expires_at_ms"),
        _integer("tries"),
        _big("used_at_ms", NULL),
        _big("voided_at_ms", NULL),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"]),
        sa.CheckConstraint("tries >= 0", name="device_claim_tries"),
        sa.CheckConstraint("used_at_ms IS NULL OR voided_at_ms IS NULL", name="device_claim_end"),
    )
    _index("device_claim", "device_id")
    is_open = "used_at_ms IS NULL AND voided_at_ms IS NULL"
    _partial("device_claim_open", "device_claim", ["device_id"], is_open, unique=True)
    op.create_table(
        "device_certificate",
        _string("serial", 40, KEY),
        _string("device_id", 10),
        _string("request", 64),
        _big("not_before_ms"),
        _big("not_after_ms"),
        _text("pem"),
        _big("revoked_at_ms", NULL),
        _text("reason"),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"]),
    )
    _partial("device_certificate_revoked", "device_certificate", ["revoked_at_ms"], "revoked_at_ms IS NOT NULL")
    op.create_index("device_certificate_request", "device_certificate", ["device_id", "request"])
    op.create_table(
        "device_key",
        _string("device_id", 10, KEY),
        _string("key_id", 16, KEY),
        _text("pem"),
        _big("valid_from_ms"),
        _big("ended_at_ms", NULL),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"]),
    )
    _partial("device_key_current", "device_key", ["device_id"], "ended_at_ms IS NULL", unique=True)
    _index("device_key", "ended_at_ms", "valid_from_ms")


def _riders() -> None:
    op.create_table(
        "rider",
        _string("id", 26, KEY),
        _string("token_nonce", 26),
        _big("created_at_ms"),
    )
    _passkeys()
    op.create_table(
        "wallet",
        _string("rider_id", 26, KEY),
        _string("currency", 3),
        _big("balance_minor"),
        _big("held_minor"),
        _big("debt_minor"),
        sa.ForeignKeyConstraint(["rider_id"], ["rider.id"]),
        sa.CheckConstraint("balance_minor >= 0", name="wallet_balance"),
        sa.CheckConstraint("held_minor >= 0 AND held_minor <= balance_minor", name="wallet_held"),
        sa.CheckConstraint("debt_minor >= 0", name="wallet_debt"),
    )
    op.create_table(
        "top_up",
        _string("id", 26, KEY),
        _string("rider_id", 26),
        _big("amount_minor"),
        _string("currency", 3),
        _text("status"),
        _string("provider", 20),
        _string("payment_id", 60, NULL),
        _text("pay_url", NULL),
        _big("created_at_ms"),
        _big("ended_at_ms", NULL),
        sa.ForeignKeyConstraint(["rider_id"], ["rider.id"]),
        sa.CheckConstraint("amount_minor > 0", name="top_up_amount"),
        sa.CheckConstraint("status IN ('pending', 'paid', 'failed')", name="top_up_status"),
        sa.UniqueConstraint("provider", "payment_id", name="top_up_payment"),
    )
    _index("top_up", "created_at_ms", "rider_id")
    op.create_table(
        "wallet_refund",
        _string("id", 26, KEY),
        _string("rider_id", 26),
        _big("amount_minor"),
        _string("currency", 3),
        _big("created_at_ms"),
        sa.ForeignKeyConstraint(["rider_id"], ["rider.id"]),
        sa.CheckConstraint("amount_minor > 0", name="wallet_refund_amount"),
    )
    _index("wallet_refund", "rider_id")
    op.create_table(
        "wallet_refund_part",
        _string("refund_id", 26, KEY),
        sa.Column("number", sa.Integer(), primary_key=True),
        _string("top_up_id", 26),
        _string("provider", 20),
        _string("payment_id", 60),
        _big("amount_minor"),
        _text("status"),
        _string("provider_refund_id", 60, NULL),
        _big("asked_at_ms"),
        _big("ended_at_ms", NULL),
        sa.ForeignKeyConstraint(["refund_id"], ["wallet_refund.id"]),
        sa.ForeignKeyConstraint(["top_up_id"], ["top_up.id"]),
        sa.CheckConstraint("amount_minor > 0", name="wallet_refund_part_amount"),
        sa.CheckConstraint("status IN ('pending', 'done', 'failed')", name="wallet_refund_part_status"),
        sa.CheckConstraint("(status = 'pending') = (ended_at_ms IS NULL)", name="wallet_refund_part_end"),
        sa.UniqueConstraint("provider", "provider_refund_id", name="wallet_refund_part_at_provider"),
    )
    _index("wallet_refund_part", "top_up_id")
    pending = sa.text("status = 'pending'")
    op.create_index(
        "wallet_refund_part_pending",
        "wallet_refund_part",
        ["asked_at_ms"],
        sqlite_where=pending,
        postgresql_where=pending,
    )


def _passkeys() -> None:
    op.create_table(
        "passkey",
        _string("id", 26, KEY),
        _string("rider_id", 26),
        _string("credential_id", 1_364, UNIQUE),
        _text("public_key"),
        _big("sign_count"),
        _string("user_handle", 86),
        _string("transports", 80),
        sa.Column("synced", sa.Boolean(), nullable=False),
        _big("created_at_ms"),
        _big("used_at_ms", NULL),
        sa.ForeignKeyConstraint(["rider_id"], ["rider.id"]),
        sa.CheckConstraint("sign_count >= 0", name="passkey_sign_count"),
    )
    _index("passkey", "rider_id")
    op.create_table(
        "passkey_challenge",
        _string("sha256", 64, KEY),
        _big("expires_at_ms"),
    )
    _index("passkey_challenge", "expires_at_ms")


def _ledger() -> None:
    op.create_table(
        "account",
        _string("id", 60, KEY),
        _text("kind"),
        _string("currency", 3),
        sa.UniqueConstraint("id", "currency", name="account_currency"),
        sa.CheckConstraint("kind IN ('wallet', 'debt', 'provider', 'revenue', 'adjustment')", name="account_kind"),
    )
    op.create_table(
        "transfer",
        _string("id", 26, KEY),
        _string("key", 80, UNIQUE),
        _string("fingerprint", 64),
        _string("kind", 20),
        _string("session_id", 26, NULL),
        _big("at_ms"),
    )
    _index("transfer", "session_id")
    op.create_index("transfer_at", "transfer", ["at_ms", "id", "kind", "session_id"])
    op.create_table(
        "posting",
        _string("transfer_id", 26, KEY),
        _integer("leg", KEY),
        _string("debit_account", 60),
        _string("credit_account", 60),
        _string("currency", 3),
        _big("amount_minor"),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfer.id"]),
        sa.ForeignKeyConstraint(["debit_account", "currency"], ["account.id", "account.currency"], "posting_debit"),
        sa.ForeignKeyConstraint(["credit_account", "currency"], ["account.id", "account.currency"], "posting_credit"),
        sa.CheckConstraint("amount_minor > 0", name="posting_amount"),
        sa.CheckConstraint("debit_account <> credit_account", name="posting_accounts"),
    )
    _index("posting", "debit_account", "credit_account")
    _holds()


def _holds() -> None:
    op.create_table(
        "hold",
        _string("id", 26, KEY),
        _string("rider_id", 26),
        _string("session_id", 26, UNIQUE),
        _big("amount_minor"),
        _string("currency", 3),
        _big("created_at_ms"),
        sa.ForeignKeyConstraint(["rider_id"], ["rider.id"]),
        sa.CheckConstraint("amount_minor > 0", name="hold_amount"),
    )
    _index("hold", "rider_id")
    op.create_table(
        "hold_end",
        _string("hold_id", 26, KEY),
        _text("kind"),
        _string("transfer_id", 26, NULL),
        _big("at_ms"),
        sa.ForeignKeyConstraint(["hold_id"], ["hold.id"]),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfer.id"]),
        sa.CheckConstraint("kind IN ('posted', 'released', 'expired')", name="hold_end_kind"),
        sa.CheckConstraint("(kind = 'posted') = (transfer_id IS NOT NULL)", name="hold_end_transfer"),
    )


def _fleet() -> None:
    op.create_table(
        "command",
        _string("id", 26, KEY),
        _string("device_id", 10),
        _string("session_id", 26, NULL),
        _string("action", 12),
        _text("state"),
        _string("reason", 30, NULL),
        _string("boot_id", 36),
        _big("expires_uptime_ms"),
        _big("deadline_at_ms"),
        _string("cancels", 26, NULL),
        _string("asked_by", 60),
        _string("approved_by", 60, NULL),
        _text("why"),
        _big("created_at_ms"),
        _big("published_at_ms", NULL),
        _big("accepted_at_ms", NULL),
        _big("ended_at_ms", NULL),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"]),
        sa.CheckConstraint(
            "state IN ('created', 'published', 'accepted', 'done', 'refused', 'expired', 'unknown')",
            name="command_state",
        ),
    )
    _index("command", "device_id", "session_id")
    _partial("command_outbox", "command", ["created_at_ms"], "state = 'created'")
    _partial("command_unanswered", "command", ["deadline_at_ms"], UNANSWERED)
    op.create_table(
        "report",
        _string("journal_id", 36, KEY),
        _big("seq", KEY),
        _string("device_id", 10),
        _string("boot_id", 36),
        _big("uptime_ms"),
        _string("kind", 12),
        _string("command_id", 36, NULL),
        _big("at_ms"),
        _big("received_at_ms"),
        _text("token"),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"]),
    )
    op.create_index("report_log", "report", ["device_id", "received_at_ms"])


def _sessions() -> None:
    op.create_table(
        "session",
        _string("id", 26, KEY),
        _string("rider_id", 26),
        _string("device_id", 10),
        _string("label_id", 10),
        _string("kind", 10),
        _integer("number"),
        _text("state"),
        _text("outcome", NULL),
        _string("reason", 40, NULL),
        _string("currency", 3),
        _text("tariff"),
        _string("hold_id", 26),
        _big("hold_minor"),
        _string("command_id", 26),
        _big("act_at_real_ms", NULL),
        _big("created_at_real_ms"),
        _big("requested_at_ms"),
        _big("started_at_ms", NULL),
        _big("finish_requested_at_ms", NULL),
        _big("last_evidence_at_ms", NULL),
        _big("ended_at_ms", NULL),
        sa.Column("start_lat", sa.Float(), nullable=True),
        sa.Column("start_lon", sa.Float(), nullable=True),
        _big("fare_minor"),
        _big("paid_minor"),
        _integer("version"),
        sa.ForeignKeyConstraint(["rider_id"], ["rider.id"]),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"]),
        sa.ForeignKeyConstraint(["label_id"], ["label.id"]),
        sa.CheckConstraint(
            "state IN ('requested', 'held', 'unlocking', 'active', 'paused', 'locking', 'settling', 'closed', "
            "'refused', 'not_unlocked', 'unknown', 'review')",
            name="session_state",
        ),
        sa.CheckConstraint("fare_minor >= 0 AND paid_minor >= 0 AND paid_minor <= fare_minor", name="session_fare"),
    )
    _index("session", "rider_id")
    op.create_index("session_of_device", "session", ["device_id", "id"])
    op.create_index("session_started", "session", ["started_at_ms"])
    _partial("session_live_device", "session", ["device_id"], LIVE, unique=True)
    _partial("session_due", "session", ["act_at_real_ms"], LIVE)
    _partial("session_review", "session", ["id"], "state = 'review'")
    _session_events()


def _session_events() -> None:
    op.create_table(
        "session_event",
        _string("session_id", 26, KEY),
        _integer("seq", KEY),
        _string("event", 30),
        _string("from_state", 20),
        _string("to_state", 20),
        _string("actor", 60),
        _big("at_real_ms"),
        _big("at_ms"),
        _string("journal_id", 36, NULL),
        _big("report_seq", NULL),
        _text("snapshot"),
        sa.ForeignKeyConstraint(["session_id"], ["session.id"]),
        sa.ForeignKeyConstraint(["journal_id", "report_seq"], ["report.journal_id", "report.seq"], "event_report"),
    )


def _operators() -> None:
    op.create_table(
        "operator",
        _string("id", 26, KEY),
        _text("name", UNIQUE),
        _text("role"),
        _string("token_sha256", 64, NULL, UNIQUE),
        _text("password_hash", NULL),
        _text("totp_secret", NULL),
        _big("totp_last_step", NULL),
        _big("created_at_ms"),
        _big("revoked_at_ms", NULL),
        sa.CheckConstraint("role IN ('viewer', 'technician', 'operator', 'admin')", name="operator_role"),
    )
    op.create_table(
        "operator_sign_in",
        _string("id", 26, KEY),
        _string("operator_id", 26),
        _string("token_sha256", 64, UNIQUE),
        _string("place", 32),
        _big("created_at_ms"),
        _big("used_at_ms"),
        _big("ended_at_ms", NULL),
        sa.ForeignKeyConstraint(["operator_id"], ["operator.id"]),
    )
    _index("operator_sign_in", "operator_id")
    op.create_table(
        "operator_sign_in_failures",
        _string("key", 32, KEY),
        _integer("failures"),
        _big("wait_until_ms"),
        _big("last_at_ms"),
    )
    op.create_table(
        "fleet_view",
        _string("id", 26, KEY),
        _string("operator_id", 26),
        _text("name"),
        _text("query"),
        _big("saved_at_ms"),
        sa.ForeignKeyConstraint(["operator_id"], ["operator.id"]),
        sa.UniqueConstraint("operator_id", "name", name="fleet_view_name"),
    )


def _house() -> None:
    op.create_table(
        "tariff",
        _string("id", 26, KEY),
        _text("kind"),
        _big("in_force_from_ms"),
        _text("terms"),
        sa.CheckConstraint("kind IN ('bike', 'pod')", name="tariff_kind"),
        sa.UniqueConstraint("kind", "in_force_from_ms", name="tariff_from"),
    )
    _index("tariff", "kind")
    op.create_table("schema_also_serves", _string("revision", 32, KEY))
    _audit()
    _approvals()
    op.create_table(
        "idempotency",
        _string("scope", 32, KEY),
        _string("key", 128, KEY),
        _string("fingerprint", 64),
        _big("created_at_ms"),
        _integer("status", NULL),
        _text("answer", NULL),
        _string("session_id", 26, NULL),
        _integer("after_seq", NULL),
    )
    op.create_index("ix_idempotency_created_at_ms", "idempotency", ["created_at_ms"])


def _small(name: str, *options: str) -> sa.Column[int]:
    return _column(name, sa.SmallInteger(), options)


def _telemetry() -> None:
    """Make the tables of telemetry; on PostgreSQL three of them are parents, and the service makes their partitions."""
    raw = (
        _integer("minute", KEY),
        _big("device", KEY),
        _integer("offset_ms", KEY),
        _integer("uptime_s"),
        _integer("outbox"),
        *(_small(name, NULL) for name in ("battery", "signal_dbm", "temperature_tenths")),
        *(_small(name) for name in ("reconnects", "boots")),
    )
    hour = (_big("device", KEY), _integer("hour", KEY), *_rollup())
    op.create_table("telemetry_raw", *raw, sqlite_with_rowid=False, postgresql_partition_by="RANGE (minute)")
    for name in ("telemetry_beats", "telemetry_minute"):
        pack = (_integer("hour", KEY), _big("device", KEY), sa.Column("packed", sa.LargeBinary(), nullable=False))
        op.create_table(name, *pack, sqlite_with_rowid=False, postgresql_partition_by="RANGE (hour)")
    op.create_table("telemetry_hour", *hour, sqlite_with_rowid=False)
    op.create_table(
        "telemetry_progress",
        _small("id", KEY),
        _string("writer", 26),
        _big("lease_until_ms"),
        _integer("hours_through"),
        _big("hours_after"),
        sa.CheckConstraint("id = 1", name="telemetry_progress_one"),
    )


def _takings() -> None:
    """Make the totals of takings, and the triggers that say what is in none yet, and when none holds."""
    op.create_table("taking_waiting", _string("transfer_id", 26, KEY))
    op.create_table(
        "taking",
        sa.Column("day", sa.Integer(), primary_key=True, autoincrement=False),
        _string("account", 60, KEY),
        _text("site", KEY),
        _big("amount_minor"),
        _integer("postings"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "taking_zone", _small("id", KEY), _text("zone"), sa.CheckConstraint("id = 1", name="taking_zone_one")
    )
    note = "INSERT INTO taking_waiting (transfer_id) VALUES (NEW.id)"
    _after("transfer", "INSERT", "NEW.kind IN ('fare', 'charge')", note)
    _after("device", "UPDATE OF site", "NEW.site <> OLD.site", "DELETE FROM taking_zone")


def _after(table: str, event: str, when: str, work: str) -> None:
    name = f"{table}_taking"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"CREATE TRIGGER {name} AFTER {event} ON {table} WHEN {when} BEGIN {work}; END")
        return
    op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {work}; RETURN NULL; END $$")
    op.execute(f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION {name}()")


def _rollup() -> list[sa.Column[int]]:
    gauges: list[sa.Column[int]] = []
    for name in ("battery", "signal_dbm", "temperature_tenths"):
        least_and_most = (_small(f"{name}_{it}", NULL) for it in ("min", "max"))
        gauges += [_integer(f"{name}_n"), *least_and_most, _integer(f"{name}_sum")]
    counts = (_integer(name) for name in ("beats", "uptime_last_s", "outbox_min", "outbox_max"))
    return [*counts, _big("outbox_sum"), *gauges, _integer("reconnects"), _integer("boots")]


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        _big("at_ms"),
        _string("actor", 60),
        _string("action", 40),
        _string("subject", 60),
        _text("why"),
        _string("previous", 64),
        _string("hash", 64),
    )
    _index("audit", "actor", "subject")


def _approvals() -> None:
    op.create_table(
        "approval",
        _string("id", 26, KEY),
        _string("device_id", 10),
        _string("session_id", 26, NULL),
        _string("action", 12),
        _text("state"),
        _string("asked_by", 60),
        _text("why"),
        _big("asked_at_ms"),
        _big("expires_at_ms"),
        _string("decided_by", 60, NULL),
        _text("decided_why", NULL),
        _big("decided_at_ms", NULL),
        _string("command_id", 26, NULL),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"]),
        sa.CheckConstraint("state IN ('pending', 'confirmed', 'declined')", name="approval_state"),
        sa.CheckConstraint("(state = 'pending') = (decided_by IS NULL)", name="approval_decided"),
        sa.CheckConstraint("state <> 'confirmed' OR decided_by <> asked_by", name="approval_second_person"),
        sa.CheckConstraint("(state = 'confirmed') = (command_id IS NOT NULL)", name="approval_command"),
    )
    op.create_index("approval_by_state", "approval", ["state", "id"])
