"""What is sent on about alerts: composed from their rows in one transaction, sent from a table of its own.

Each notice is sent at least once, under an id that stays: a crash between sending and noting that has it sent again,
and who receives it twice sees it by the id.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from email.message import EmailMessage
from typing import Any, Final

from sqlalchemy import Connection, and_, func, not_, or_, select, update

from session_service.alerts import repository
from session_service.alerts.kinds import SILENT, Severity
from session_service.alerts.model import AlertNotice, AlertNoticeOf, Channel
from session_service.alerts.repository import ALERT, Shown
from session_service.alerts.schemas import AlertOut
from session_service.alerts.sites import SETTLE_MS
from session_service.clock import new_id, rfc3339
from session_service.database import every, table_of
from session_service.settings import Settings

AT_ONCE: Final = 500  # alerts in one mail, and told in one transaction
SENT_AT_ONCE: Final = 20  # notices in one round; the rest wait for the next
FIRST_GAP_MS: Final = 10_000  # a receiver that restarts
MAX_GAP_MS: Final = 21_600_000  # 6 h
GIVE_UP_MS: Final = 259_200_000  # 3 days: a weekend with a broken receiver; then the alert itself says enough
MAILED: Final = (Severity.CRITICAL, Severity.MAJOR)  # a mail that need not be read is not read


_NOTICE: Final = table_of(AlertNotice)
_OF: Final = table_of(AlertNoticeOf)


# -- Composing


def channels_of(settings: Settings) -> list[Channel]:
    """Return the channels that are set up."""
    mails = bool(settings.smtp_host and settings.smtp_from and settings.receivers)
    wanted = {Channel.WEBHOOK: bool(settings.alert_webhook_url), Channel.MAIL: mails}
    return [channel for channel in Channel if wanted[channel]]


def compose(connection: Connection, channels: Sequence[Channel], now_ms: int) -> int:
    """Make notices of what has not been told yet; return how many.

    Without a channel it is marked as told all the same: who sets one up later wants no alerts of last month. What is
    muted waits for the end of that; one silent device waits for its site.
    """
    found = _untold(connection, now_ms)
    told = [one for one in found if one.alert.group_id is None]
    made = [each for channel in channels for each in _of_channel(channel, told, now_ms)]
    if made:
        connection.execute(_NOTICE.insert(), [notice.model_dump() for notice, _ in made])
        pairs = [{"alert_id": one.alert.id, "notice_id": notice.id} for notice, of in made for one in of]
        connection.execute(_OF.insert(), pairs)
    for one in found:
        values = {"to_tell": None, "told_at_ms": now_ms if one.alert.group_id is None else one.alert.told_at_ms}
        connection.execute(update(ALERT).where(ALERT.c.id == one.alert.id).values(values))
    return len(made)


def _untold(connection: Connection, now_ms: int) -> list[Shown]:
    settled = or_(ALERT.c.kind != SILENT, ALERT.c.opened_at_ms <= now_ms - SETTLE_MS, ALERT.c.group_id.is_not(None))
    over = ALERT.c.cleared_at_ms.is_not(None)
    statement = (
        repository.with_devices()
        .where(ALERT.c.to_tell.is_not(None), or_(over, and_(settled, not_(repository.is_muted(now_ms)))))
        .order_by(ALERT.c.id)
        .limit(AT_ONCE)
        .with_for_update(of=ALERT, skip_locked=True)  # another instance tells of those
    )
    return repository.shown(connection, statement)


def _of_channel(channel: Channel, told: Sequence[Shown], now_ms: int) -> list[tuple[AlertNotice, list[Shown]]]:
    """Return notices, each with the alerts that it tells of."""
    if channel is Channel.WEBHOOK:
        return [(_notice(channel, f"alert.{one.alert.to_tell}", _as_json(one, now_ms), now_ms), [one]) for one in told]
    mailed = [one for one in told if one.alert.severity in MAILED]
    return [(_notice(channel, _subject(mailed), "\n".join(map(_line, mailed)), now_ms), mailed)] if mailed else []


def _notice(channel: Channel, subject: str, body: str, now_ms: int) -> AlertNotice:
    return AlertNotice(
        id=new_id(), channel=channel, subject=subject, body=body, created_at_ms=now_ms, next_at_ms=now_ms
    )


def _as_json(one: Shown, now_ms: int) -> str:
    return json.dumps(AlertOut.of(one, now_ms).model_dump(mode="json"))


def _subject(told: Sequence[Shown]) -> str:
    first = _title(told[0])
    return first if len(told) == 1 else f"{first}, and {len(told) - 1} more"


def _title(one: Shown) -> str:
    alert = one.alert
    what = alert.site if one.number is None else f"number {one.number}"
    over = "over: " if alert.to_tell == "cleared" else ""
    return f"{over}{alert.severity} {alert.kind} at {what}"


def _line(one: Shown) -> str:
    alert = one.alert
    at = rfc3339(alert.cleared_at_ms if alert.to_tell == "cleared" else alert.opened_at_ms)
    return f"{at}  {_title(one)}, {alert.site or 'no site'}: {alert.detail}"


def as_mail(notice: AlertNotice, sender: str, receivers: Sequence[str], brand: str) -> EmailMessage:
    """Return a notice as a mail, whose id is the notice's."""
    mail = EmailMessage()
    mail["From"], mail["To"] = sender, ", ".join(receivers)
    mail["Subject"] = " ".join(f"{brand}: {notice.subject}".split())
    mail["Message-ID"] = f"<{notice.id}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    mail.set_content(notice.body)
    return mail


def as_event(notice: AlertNotice) -> bytes:
    """Return a notice as a webhook's body."""
    event: dict[str, Any] = {"id": notice.id, "type": notice.subject, "created_at": rfc3339(notice.created_at_ms)}
    return json.dumps({**event, "alert": json.loads(notice.body)}).encode()


# -- The outbox


def due(connection: Connection, now_ms: int) -> list[AlertNotice]:
    """Return what is to be sent now, the oldest first."""
    statement = (
        select(_NOTICE)
        .where(_NOTICE.c.done_at_ms.is_(None), _NOTICE.c.next_at_ms <= now_ms)
        .order_by(_NOTICE.c.next_at_ms)
        .limit(SENT_AT_ONCE)
    )
    return every(connection, AlertNotice, statement)


def take(connection: Connection, notice: AlertNotice, now_ms: int) -> bool:
    """Take a notice for one try, before it is made; return whether no other instance has."""
    gap_ms = min(FIRST_GAP_MS * 4**notice.tries, MAX_GAP_MS)
    taken = (
        update(_NOTICE)
        .where(_NOTICE.c.id == notice.id, _NOTICE.c.tries == notice.tries, _NOTICE.c.done_at_ms.is_(None))
        .values(tries=notice.tries + 1, next_at_ms=now_ms + gap_ms)
    )
    return bool(connection.execute(taken).rowcount)


def finish(connection: Connection, notice: AlertNotice, outcome: str, now_ms: int) -> None:
    """Note that a notice need not be sent again."""
    values = {"done_at_ms": now_ms, "outcome": outcome}
    connection.execute(update(_NOTICE).where(_NOTICE.c.id == notice.id).values(values))


def waiting(connection: Connection) -> int:
    """Return how many are still to be sent."""
    statement = select(func.count()).select_from(_NOTICE).where(_NOTICE.c.done_at_ms.is_(None))
    return int(connection.execute(statement).scalar_one())
