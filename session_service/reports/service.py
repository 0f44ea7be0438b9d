"""Figures of the books, each with the postings that it is the sum of."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from sqlalchemy import Connection

from session_service.ledger import rules
from session_service.reports import repository, totals_repository
from session_service.reports.days import Span, day_of
from session_service.reports.repository import By, Sum, TopUpLine, Wanted, What
from session_service.reports.totals_repository import Total

ASTRAY_MAX = 100  # one is a reason to look, a hundred are enough to see why


class Figure(NamedTuple):
    """An amount under a heading, how many postings it is the sum of, and which these are."""

    key: str
    amount_minor: int
    postings: int
    source: Wanted


class TopUps(NamedTuple):
    """Top-ups begun in some days: as providers told of them, as booked, and those on which the two differ."""

    told: list[tuple[str, str, int, int]]
    booked: Figure
    astray: list[TopUpLine]


def split(connection: Connection, wanted: Wanted, by: By) -> list[Figure]:
    """Return the sums of postings by day, kind of device or site; what has none is left out."""
    if wanted == Wanted(What.TAKINGS, wanted.span) and totals_repository.zone(connection) == wanted.span.zone:
        return [_figure(total, wanted, by) for total in totals_repository.totals(connection, wanted.span, by)]
    found = repository.sums(connection, wanted, by)
    if by is By.DAY:
        return _by_day(found, wanted)
    return [_figure(Total(str(s.key), s.amount_minor, s.postings), wanted, by) for s in found]


def _figure(total: Total, wanted: Wanted, by: By) -> Figure:
    key = total.key
    if by is By.DAY:
        return Figure(*total, wanted._replace(span=wanted.span.only(key)))
    if by is By.SITE:
        return Figure(*total, wanted._replace(site=key))
    kind = key.removeprefix(rules.revenue_account(""))
    return Figure(kind, *total[1:], wanted._replace(kind=kind))


def whole(connection: Connection, wanted: Wanted) -> Figure:
    """Return the sum of all postings that are wanted."""
    found = _added_up(connection, wanted) or repository.sums(connection, wanted, By.KIND)
    return Figure("all", sum(s.amount_minor for s in found), sum(s.postings for s in found), wanted)


def _added_up(connection: Connection, wanted: Wanted) -> list[Total]:
    """Return the totals that takings are the sum of; none where they are void, or of one kind at one site."""
    of_both = wanted.kind is not None and wanted.site is not None
    if wanted.what is not What.TAKINGS or of_both or totals_repository.zone(connection) != wanted.span.zone:
        return []
    by = By.KIND if wanted.site is None else By.SITE
    key = wanted.site if wanted.kind is None else rules.revenue_account(wanted.kind)
    return [it for it in totals_repository.totals(connection, wanted.span, by) if key in {None, it.key}]


def top_ups(connection: Connection, span: Span) -> TopUps:
    """Return what providers told us of payments and what the ledger has booked for them."""
    astray = repository.top_ups(connection, span, "", ASTRAY_MAX, astray=True)
    told = list(repository.top_up_sums(connection, span))
    return TopUps(told, whole(connection, Wanted(What.TOP_UPS, span)), astray)


def _by_day(found: list[Sum], wanted: Wanted) -> list[Figure]:
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for one in found:
        of_day = sums[day_of(int(one.key), wanted.span.zone).isoformat()]
        of_day[0] += one.amount_minor
        of_day[1] += one.postings
    return [_figure(Total(day, *total), wanted, By.DAY) for day, total in sorted(sums.items())]
