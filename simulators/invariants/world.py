"""Both sides of what happened, and what the invariants look up more than once."""

from __future__ import annotations

import base64
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Row

from broker.contract.codes import Action, Bolt, Result
from broker.contract.messages import CommandReport, Report
from device_agent.drivers.memory import MovedBy, Movement
from simulators.records import Books, Witness


class Change(NamedTuple):
    """What was done to a subject of the audit (``device:ID``) at a moment, by a row whose action begins so."""

    subject: str
    at_ms: int
    action: str
    what: str


@dataclass(frozen=True)
class World:
    """Both sides, and what is looked up more than once."""

    books: Books
    witnesses: list[Witness] = field(default_factory=list)

    @cached_property
    def commands(self) -> dict[str, Row[Any]]:
        """The service's commands by id."""
        return {row.id: row for row in self.books.commands}

    @cached_property
    def cancels(self) -> dict[str, list[str]]:
        """Ids of the commands that cancel another, by its id."""
        found = defaultdict(list)
        for row in self.books.commands:
            if row.cancels is not None:
                found[row.cancels].append(row.id)
        return found

    @cached_property
    def sessions(self) -> dict[str, Row[Any]]:
        """Sessions by id."""
        return {row.id: row for row in self.books.sessions}

    @cached_property
    def driven(self) -> list[tuple[Witness, Movement]]:
        """Every time that a motor ran."""
        return [(w, m) for w in self.witnesses for m in w.movements if m.cause is MovedBy.COMMAND]

    @cached_property
    def unlocks(self) -> list[Row[Any]]:
        """The service's reports that prove an unlock."""
        return [row for row in self.books.reports if row.command_id is not None and _proves_unlock(row.token)]

    @cached_property
    def account_sums(self) -> Counter[str]:
        """What went into each account, less what left it, in minor units."""
        sums: Counter[str] = Counter()
        for posting in self.books.postings:
            sums[posting.credit_account] += posting.amount_minor
            sums[posting.debit_account] -= posting.amount_minor
        return sums


def report_in(token: str) -> Report | None:
    """Return what a report says. Its signature has been checked by the service, its bytes are compared elsewhere."""
    payload = token.split(".")[1]
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(payload + "=="), type=Report)
    except (msgspec.DecodeError, ValueError):
        return None


def _proves_unlock(token: str) -> bool:
    body = report_in(token)
    if body is None or not isinstance(body.body, CommandReport) or body.body.action is not Action.UNLOCK:
        return False
    return body.body.result is Result.DONE or (body.body.moved and body.status.bolt is Bolt.OPEN)
