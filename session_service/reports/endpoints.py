"""``/v1/ops/reports``: the money, from any figure down to its postings, as JSON and as files for spreadsheets."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from session_service.context import InContext
from session_service.devices.model import Kind
from session_service.errors import MalformedError
from session_service.operators.endpoints import InOperator
from session_service.reports import exports, repository, service
from session_service.reports.days import Span, span
from session_service.reports.repository import By, Wanted, What
from session_service.reports.schemas import (
    DebtOut,
    DebtsOut,
    FigureOut,
    HoldOut,
    HoldsOut,
    PostingLineOut,
    PostingsOut,
    RefundsOut,
    SplitOut,
    TopUpsOut,
    WholeOut,
    cursor_of,
    cursor_text,
)

router = APIRouter(tags=["reports"])

PAGE_MAX: Final = 1_000  # 250 kB of JSON
LONG_S: Final = 86_400  # no tariff of ours has longer sessions
AGE_MAX_S: Final = 366 * 86_400
REFUNDS: Final = (What.REFUNDS, What.WRITE_OFFS, What.PAYOUTS, What.PAYOUTS_FAILED)


Day = Annotated[
    str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", max_length=10, json_schema_extra={"format": "date"})
]


async def days(
    context: InContext,
    first: Annotated[Day, Query(alias="from", description="The first day, in the city's time.")],
    last: Annotated[Day, Query(alias="to", description="The last day, which is included.")],
) -> Span:
    """Return the days that a request is about.

    Raises:
        MalformedError: no calendar has one of them, they are out of order, or too many.
    """
    try:
        return span(date.fromisoformat(first), date.fromisoformat(last), context.settings.time_zone)
    except ValueError as error:
        msg = "Give days of the calendar, such as 2026-03-31."
        raise MalformedError(msg) from error


InDays = Annotated[Span, Depends(days)]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]
After = Annotated[str | None, Query(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$", max_length=26)]
OfKind = Annotated[Kind | None, Query(description="Only of this kind of device.")]
OfSite = Annotated[str | None, Query(max_length=80, pattern=r"^[^\x00-\x1f\x7f]*$", description="Only of this site.")]


async def wanted(days: InDays, what: What, kind: OfKind = None, site: OfSite = None) -> Wanted:
    """Return which postings a request is about."""
    return Wanted(what, days, kind, site)


InWanted = Annotated[Wanted, Depends(wanted)]


@router.get("/v1/ops/reports/takings")
async def takings(context: InContext, _operator: InOperator, days: InDays, by: By = By.DAY) -> SplitOut:
    """Add up what was charged for sessions, paid or owed, by the day, the kind of device or the site."""
    asked = Wanted(What.TAKINGS, days)
    rows = await context.database.read(lambda c: service.split(c, asked, by))
    total = service.Figure("all", sum(r.amount_minor for r in rows), sum(r.postings for r in rows), asked)
    shown = [FigureOut.of(row) for row in rows]
    return SplitOut(currency=context.settings.currency, total=FigureOut.of(total), by=by, rows=shown)


@router.get("/v1/ops/reports/refunds")
async def refunds(context: InContext, _operator: InOperator, days: InDays) -> RefundsOut:
    """Add up what went back: refunds and write-offs that people decided, and what riders took out of their wallets."""
    rows = await context.database.read(lambda c: [service.whole(c, Wanted(what, days)) for what in REFUNDS])
    shown = [FigureOut.of(row._replace(key=row.source.what)) for row in rows]
    return RefundsOut(currency=context.settings.currency, rows=shown)


@router.get("/v1/ops/reports/postings")
async def postings(
    context: InContext,
    _operator: InOperator,
    asked: InWanted,
    after: Annotated[str | None, Query(pattern=r"^[0-9]{1,15}\.[0-9A-HJKMNP-TV-Z]{26}\.[0-9]$", max_length=44)] = None,
    limit: Limit = 100,
    total: Annotated[bool, Query(description="Add up all of them, too.")] = False,  # noqa: FBT002 - a query's field
) -> PostingsOut:
    """List the postings behind a figure, in order of time."""
    rows = await context.database.read(lambda c: repository.lines(c, asked, cursor_of(after), limit))
    next_after = cursor_text(rows[-1]) if len(rows) == limit else None
    out = PostingsOut(rows=[PostingLineOut.of(row) for row in rows], next_after=next_after)
    if total:
        whole = await context.database.read(lambda c: service.whole(c, asked))
        sums = {"amount_minor": whole.amount_minor, "postings": whole.postings}
        out.total = WholeOut(currency=context.settings.currency, **sums)
    return out


@router.get("/v1/ops/reports/holds")
async def holds(
    context: InContext,
    _operator: InOperator,
    older_than_s: Annotated[int, Query(ge=0, le=AGE_MAX_S)] = LONG_S,
    after: After = None,
    limit: Limit = 100,
) -> HoldsOut:
    """List money that has been set aside for long (in civil time) and neither taken nor given free."""
    now_ms = context.clock.civil_ms()
    before_ms = now_ms - older_than_s * 1000
    rows = await context.database.read(lambda c: repository.open_holds(c, before_ms, after or "", limit))
    next_after = rows[-1].hold_id if len(rows) == limit else None
    shown = [HoldOut.of(row, now_ms) for row in rows]
    return HoldsOut(currency=context.settings.currency, rows=shown, next_after=next_after)


@router.get("/v1/ops/reports/debts")
async def debts(context: InContext, _operator: InOperator, after: After = None, limit: Limit = 100) -> DebtsOut:
    """List riders who owe something, and what all of them owe together."""
    (total, riders), rows = await context.database.read(
        lambda c: (repository.debt_sum(c), repository.debts(c, after or "", limit))
    )
    return DebtsOut(
        currency=context.settings.currency,
        total_minor=total,
        riders=riders,
        rows=[DebtOut.of(row) for row in rows],
        next_after=rows[-1].rider_id if len(rows) == limit else None,
    )


@router.get("/v1/ops/reports/top-ups")
async def top_ups(context: InContext, _operator: InOperator, days: InDays) -> TopUpsOut:
    """Compare what payment providers told us of top-ups with what the ledger has booked for them."""
    found = await context.database.read(lambda c: service.top_ups(c, days))
    return TopUpsOut.of(found, context.settings.currency)


# -- The same as files


@router.get("/v1/ops/reports/takings.csv", response_class=StreamingResponse)
async def takings_file(context: InContext, _operator: InOperator, days: InDays, by: By = By.DAY) -> StreamingResponse:
    """Download the takings by the day, the kind of device or the site."""
    return exports.takings(context, days, by)


@router.get("/v1/ops/reports/postings.csv", response_class=StreamingResponse)
async def postings_file(context: InContext, _operator: InOperator, asked: InWanted) -> StreamingResponse:
    """Download all postings behind a figure: of takings, refunds, write-offs, top-ups or payouts."""
    return exports.postings(context, asked)


@router.get("/v1/ops/reports/holds.csv", response_class=StreamingResponse)
async def holds_file(
    context: InContext, _operator: InOperator, older_than_s: Annotated[int, Query(ge=0, le=AGE_MAX_S)] = LONG_S
) -> StreamingResponse:
    """Download what has been set aside for long."""
    return exports.holds(context, older_than_s)


@router.get("/v1/ops/reports/debts.csv", response_class=StreamingResponse)
async def debts_file(context: InContext, _operator: InOperator) -> StreamingResponse:
    """Download who owes what."""
    return exports.debts(context)


@router.get("/v1/ops/reports/top-ups.csv", response_class=StreamingResponse)
async def top_ups_file(context: InContext, _operator: InOperator, days: InDays) -> StreamingResponse:
    """Download the top-ups that were begun in some days, as told by the provider and as booked."""
    return exports.top_ups(context, days)
