"""Which tables there are as files, and what stands in their columns."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from fastapi.responses import StreamingResponse

from session_service.clock import rfc3339
from session_service.context import Context
from session_service.reports import csv_files, repository, service
from session_service.reports.csv_files import PAGE_ROWS, paged, response
from session_service.reports.days import Span
from session_service.reports.repository import By, Cursor, Debt, Line, OpenHold, TopUpLine, Wanted, What

POSTING_COLUMNS: Final = (
    "at",
    "transfer_id",
    "leg",
    "kind",
    "session_id",
    "debit_account",
    "credit_account",
    "amount_minor",
    "currency",
)
TOP_UP_COLUMNS: Final = (
    "id",
    "rider_id",
    "provider",
    "payment_id",
    "status",
    "amount_minor",
    "created_at",
    "ended_at",
    "booked_minor",
)


def takings(context: Context, days: Span, by: By) -> StreamingResponse:
    """Return takings by day, kind or site; they are a few hundred rows at the most."""

    async def content() -> AsyncIterator[str]:
        asked = Wanted(What.TAKINGS, days)
        rows = await context.database.read(lambda c: service.split(c, asked, by))
        yield csv_files.lines([(str(by), "amount_minor", "postings", "currency")])
        yield csv_files.lines((r.key, r.amount_minor, r.postings, context.settings.currency) for r in rows)

    return response(content(), f"takings-by-{by}-{_name(days)}")


def postings(context: Context, asked: Wanted) -> StreamingResponse:
    """Return the postings behind a figure."""

    async def page(last: Line | None) -> Sequence[Line]:
        after = None if last is None else Cursor(last.at_ms, last.transfer_id, last.leg)
        return await context.database.read(lambda c: repository.lines(c, asked, after, PAGE_ROWS))

    content = paged(POSTING_COLUMNS, page, lambda line: (rfc3339(line.at_ms), *line[1:]))
    return response(content, f"{asked.what}-{_name(asked.span)}")


def holds(context: Context, older_than_s: int) -> StreamingResponse:
    """Return the holds that have been open for so long."""
    now_ms = context.clock.civil_ms()

    async def page(last: OpenHold | None) -> Sequence[OpenHold]:
        after, before_ms = "" if last is None else last.hold_id, now_ms - older_than_s * 1000
        return await context.database.read(lambda c: repository.open_holds(c, before_ms, after, PAGE_ROWS))

    columns = ("hold_id", "rider_id", "session_id", "amount_minor", "since", "session_state")
    return response(paged(columns, page, lambda h: (*h[:4], rfc3339(h.created_at_ms), h.state)), "open-holds")


def debts(context: Context) -> StreamingResponse:
    """Return who owes what."""

    async def page(last: Debt | None) -> Sequence[Debt]:
        after = "" if last is None else last.rider_id
        return await context.database.read(lambda c: repository.debts(c, after, PAGE_ROWS))

    return response(paged(Debt._fields, page, lambda debt: debt), "debts")


def top_ups(context: Context, days: Span) -> StreamingResponse:
    """Return the top-ups of some days."""

    async def page(last: TopUpLine | None) -> Sequence[TopUpLine]:
        after = "" if last is None else last.id
        return await context.database.read(lambda c: repository.top_ups(c, days, after, PAGE_ROWS))

    content = paged(
        TOP_UP_COLUMNS, page, lambda t: (*t[:6], rfc3339(t.created_at_ms), rfc3339(t.ended_at_ms), t.booked_minor)
    )
    return response(content, f"top-ups-{_name(days)}")


def _name(days: Span) -> str:
    return f"{days.first}-to-{days.last}"
