"""The guard: which commands are fresh, and which ids are known (DESIGN 3, "Fresh without a clock")."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from broker.contract.codes import Reason, Result
from broker.contract.messages import Command
from device_agent.core.limits import Limits
from device_agent.core.records import CommandRecord

LOOK_AHEAD: Final = 16
"""How many of the oldest that must stay are passed over in one go; the next event goes on."""

Refusal = tuple[Result, Reason | None]


class Guard:
    """Remembers ids and judges freshness.

    A known id is looked up before its freshness is judged: an outcome must not become "expired" because its repeat
    came late.
    """

    def __init__(self, boot_id: str, limits: Limits, records: Iterable[CommandRecord]) -> None:
        self._boot_id = boot_id
        self._limits = limits
        self._records = {record.id: record for record in records}

    def known(self, command_id: str) -> CommandRecord | None:
        """Return what is remembered of an id."""
        return self._records.get(command_id)

    def unsettled(self) -> list[CommandRecord]:
        """Return the intents without an outcome."""
        return [record for record in self._records.values() if record.result is None]

    def staleness(self, command: Command, now_ms: int, unix_s: int | None) -> Refusal | None:
        """Return why the command is not fresh, or ``None`` if it is. ``unix_s`` only where the wall clock is right."""
        if command.boot_id != self._boot_id:
            return Result.REFUSED, Reason.STALE_BOOT
        if now_ms > command.expires_uptime_ms:
            return Result.EXPIRED, None
        if unix_s is not None and command.exp is not None and unix_s > command.exp:
            return Result.EXPIRED, None
        return None

    def remember(self, record: CommandRecord) -> None:
        """Keep a record, new or changed."""
        self._records[record.id] = record

    def forget(self, now_ms: int, acked_through: int) -> tuple[str, ...]:
        """Drop the oldest records above ``commands_kept``; return their ids.

        Only those go that would be refused without memory too (of a former boot, or past their deadline) and whose
        outcome the service has. What is left above the bound is as little as the outbox allows.
        """
        excess = len(self._records) - self._limits.commands_kept
        if excess <= 0:
            return ()
        oldest = islice(self._records.values(), excess + LOOK_AHEAD)
        ids = [record.id for record in oldest if self._may_go(record, now_ms, acked_through)][:excess]
        for command_id in ids:
            del self._records[command_id]
        return tuple(ids)

    def _may_go(self, record: CommandRecord, now_ms: int, acked_through: int) -> bool:
        if record.result is None or (record.report_seq or 0) > acked_through:
            return False
        return record.boot_id != self._boot_id or now_ms > record.expires_uptime_ms
