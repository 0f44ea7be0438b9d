"""The invariants of DESIGN 7: the service's books held against what the devices' own records say.

One function a rule. Each yields a sentence for every violation that it finds, and nothing if all is well.
"""

from __future__ import annotations

import base64
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, groupby
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Row

from broker.contract.codes import Action, Bolt, Result
from broker.contract.messages import CommandReport, Report
from device_agent.drivers.memory import MovedBy, Movement
from simulators import records
from simulators.records import Books, Witness

SHUT: Final = frozenset({"held", "unlocking", "unknown", "not_unlocked"})
"""States of a session in which nobody may know of an unlock: evidence moves it on, or to review."""

BIRTH: Final = "requested"
"""From where a session's first move starts; it is never stored as a state."""


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


def no_late_movement(world: World) -> Iterator[str]:
    """1. No lock moves after its command's deadline, or after a cancel was accepted."""
    for witness, movement in world.driven:
        command = world.commands.get(movement.command_id or "")
        if command is None:
            continue  # invariant 3 speaks of it
        where = f"device {witness.device_id} command {command.id}"
        if movement.boot_id != command.boot_id:
            yield f"{where}: moved in boot {movement.boot_id}, dated for {command.boot_id}"
        elif movement.uptime_ms > command.expires_uptime_ms:
            yield f"{where}: moved at uptime {movement.uptime_ms} ms, expired at {command.expires_uptime_ms} ms"
        yield from (f"{where}: moved after cancel {c}" for c in _cancels_before(world, witness, movement))


def one_movement_per_command(world: World) -> Iterator[str]:
    """2. At most one movement a command id."""
    counts = Counter((witness.device_id, movement.command_id) for witness, movement in world.driven)
    for (device, command), count in counts.items():
        if count > 1:
            yield f"device {device} command {command}: moved {count} times"


def no_movement_without_command(world: World) -> Iterator[str]:
    """3. None without a valid, fresh command for this very device (a hand on the lock aside)."""
    for witness, movement in world.driven:
        where = f"device {witness.device_id} at uptime {movement.uptime_ms} ms"
        command = world.commands.get(movement.command_id or "")
        if command is None:
            yield f"{where}: moved for command {movement.command_id}, which the service never gave"
        elif command.device_id != witness.device_id:
            yield f"{where}: moved for command {command.id}, which was for {command.device_id}"
        elif command.action != movement.what:
            yield f"{where}: did {movement.what} for command {command.id}, which asked for {command.action}"
        elif movement.command_id not in witness.orders:
            yield f"{where}: moved for command {command.id} without an intent in the journal"


def ledger_balances(world: World) -> Iterator[str]:
    """4. All ledger accounts sum to zero, no wallet is below its limit, every hold ended at most once."""
    if total := ledger_sum_minor(world):
        yield f"the accounts sum to {total}"
    yield from chain(_unbalanced_wallets(world), _bad_holds(world), _empty_transfers(world))


def no_charge_without_unlock(world: World) -> Iterator[str]:
    """5. No charge without evidence of an unlock, no evidence of an unlock without a session or a review case."""
    proven = {world.commands[row.command_id].session_id for row in world.unlocks if row.command_id in world.commands}
    for session_id, why in _charges(world):
        if session_id not in proven:
            yield f"session {session_id}: {why}, and nothing proves an unlock"
    yield from chain.from_iterable(_unlock_without_session(world, row) for row in world.unlocks)


def reports_complete(world: World) -> Iterator[str]:
    """6. The service's reports are the device's reports: no gap, no duplicate effect."""
    stored = {key: list(rows) for key, rows in groupby(world.books.reports, key=lambda row: row.journal_id)}
    acked = {row.journal_id: row.acked_through for row in world.books.states}
    for journal_id, rows in stored.items():
        if [row.seq for row in rows] != list(range(1, len(rows) + 1)):
            yield f"journal {journal_id}: {len(rows)} reports up to number {rows[-1].seq}"
        if acked.get(journal_id, rows[-1].seq) != rows[-1].seq:
            yield f"journal {journal_id}: {acked[journal_id]} counted as stored, {rows[-1].seq} are"
    for witness in world.witnesses:
        yield from _differences(witness, stored.get(witness.journal_id, []))
    yield from _double_effects(world)


def changes_audited(world: World) -> Iterator[str]:
    """7. One audit row for every change that a person or a rule made."""
    yield from chain(_broken_histories(world), _unaudited(world))


INVARIANTS: Final[dict[str, Callable[[World], Iterator[str]]]] = {
    rule.__name__: rule
    for rule in (
        no_late_movement,
        one_movement_per_command,
        no_movement_without_command,
        ledger_balances,
        no_charge_without_unlock,
        reports_complete,
        changes_audited,
    )
}
"""The seven, by name, in the order of DESIGN 7."""


def violations(database_url: str, fleet_dir: Path) -> dict[str, list[str]]:
    """Return what violates each invariant, in words.

    Raises:
        RecordsError: the database or a journal cannot be read.
        FolderError: a body's history cannot be read.
    """
    return look(World(*records.read(database_url, fleet_dir)))


def check(database_url: str, fleet_dir: Path) -> dict[str, int]:
    """Return the number of violations of each invariant; see ``violations``."""
    return {name: len(found) for name, found in violations(database_url, fleet_dir).items()}


def look(world: World) -> dict[str, list[str]]:
    """Return what violates each invariant in a world that has been read already."""
    return {name: list(rule(world)) for name, rule in INVARIANTS.items()}


def ledger_sum_minor(world: World) -> int:
    """Return the sum of all accounts, which double entry keeps at 0.

    Wallets and debts are taken from the cached balances, the others from the postings: so it is not 0 by form.
    """
    ours = sum(total for name, total in world.account_sums.items() if not name.startswith(("wallet:", "debt:")))
    return int(ours + sum(wallet.balance_minor - wallet.debt_minor for wallet in world.books.wallets))


def _cancels_before(world: World, witness: Witness, movement: Movement) -> Iterator[str]:
    for cancel in world.cancels.get(movement.command_id or "", ()):
        order = witness.orders.get(cancel)
        if order is None or order["result"] != Result.DONE or order["boot_id"] != movement.boot_id:
            continue
        if order["accepted_uptime_ms"] < movement.uptime_ms:
            yield cancel


def _unbalanced_wallets(world: World) -> Iterator[str]:
    ended = {end.hold_id for end in world.books.hold_ends}
    held: Counter[str] = Counter()
    for hold in world.books.holds:
        held[hold.rider_id] += 0 if hold.id in ended else hold.amount_minor
    for wallet in world.books.wallets:
        derived = (
            world.account_sums[f"wallet:{wallet.rider_id}"],
            held[wallet.rider_id],
            -world.account_sums[f"debt:{wallet.rider_id}"],
        )
        cached = (wallet.balance_minor, wallet.held_minor, wallet.debt_minor)
        if derived != cached:
            yield f"wallet {wallet.rider_id}: (balance, held, debt) {cached}, by the postings and holds {derived}"
        if min(cached) < 0 or wallet.held_minor > wallet.balance_minor:
            yield f"wallet {wallet.rider_id} is below its limit: (balance, held, debt) {cached}"


def _bad_holds(world: World) -> Iterator[str]:
    ends = Counter(end.hold_id for end in world.books.hold_ends)
    yield from (f"hold {hold} ended {count} times" for hold, count in ends.items() if count > 1)
    transfers = {transfer.id for transfer in world.books.transfers}
    for end in world.books.hold_ends:
        if (end.kind == "posted") != (end.transfer_id in transfers):
            yield f"hold {end.hold_id} is {end.kind}, its transfer is {end.transfer_id}"
    for hold in world.books.holds:
        session = world.sessions.get(hold.session_id)
        if session is None:
            yield f"hold {hold.id} is for session {hold.session_id}, which does not exist"
        elif session.state in {"closed", "not_unlocked"} and hold.id not in ends:
            yield f"hold {hold.id} is still open, its session {session.id} is {session.state}"


def _empty_transfers(world: World) -> Iterator[str]:
    moved = {posting.transfer_id for posting in world.books.postings}
    yield from (f"transfer {row.id} moves nothing" for row in world.books.transfers if row.id not in moved)


def _charges(world: World) -> Iterator[tuple[str, str]]:
    """Yield every session that costs something, or for which our revenue grew, and in which way."""
    for session in world.books.sessions:
        if session.fare_minor > 0:
            yield session.id, f"a fare of {session.fare_minor}"
    earns = {account.id for account in world.books.accounts if account.kind == "revenue"}
    earning = {posting.transfer_id for posting in world.books.postings if posting.credit_account in earns}
    for transfer in world.books.transfers:
        if transfer.id in earning and transfer.session_id is not None:
            yield transfer.session_id, f"transfer {transfer.id} ({transfer.kind})"


def _unlock_without_session(world: World, report: Row[Any]) -> Iterator[str]:
    where = f"report {report.journal_id}/{report.seq} of an unlock"
    command = world.commands.get(report.command_id)
    if command is None:
        yield f"{where}: its command {report.command_id} is unknown"
    elif command.session_id is None:
        if not command.asked_by.startswith("operator:"):
            yield f"{where}: its command has no session, and {command.asked_by} is no operator"
    elif (session := world.sessions.get(command.session_id)) is None or session.state in SHUT:
        yield f"{where}: session {command.session_id} is {session and session.state}"


def _proves_unlock(token: str) -> bool:
    body = _report(token)
    if body is None or not isinstance(body.body, CommandReport) or body.body.action is not Action.UNLOCK:
        return False
    return body.body.result is Result.DONE or (body.body.moved and body.status.bolt is Bolt.OPEN)


def _report(token: str) -> Report | None:
    """Return what a report says. Its signature has been checked by the service, its bytes are compared below."""
    payload = token.split(".")[1]
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(payload + "=="), type=Report)
    except (msgspec.DecodeError, ValueError):
        return None


def _differences(witness: Witness, rows: list[Row[Any]]) -> Iterator[str]:
    where = f"device {witness.device_id} journal {witness.journal_id}"
    newest = rows[-1].seq if rows else 0
    if newest > witness.last_seq:
        yield f"{where}: the service has number {newest}, the device wrote up to {witness.last_seq}"
    if witness.acked_through > newest:
        yield f"{where}: {witness.acked_through} acknowledged, the service has up to {newest}"
    for row in rows:
        own = witness.tokens.get(row.seq)
        if own is not None and own != row.token:
            yield f"{where}: number {row.seq} differs from the device's own"
        said = _report(row.token)
        stored = (row.device_id, row.journal_id, row.seq, row.boot_id, row.uptime_ms)
        if said is None or stored != (said.device, said.journal_id, said.seq, said.boot_id, said.uptime_ms):
            yield f"{where}: number {row.seq} is stored as something that it does not say"


def _double_effects(world: World) -> Iterator[str]:
    effects = Counter((e.journal_id, e.report_seq, e.event) for e in world.books.events if e.journal_id is not None)
    for (journal_id, seq, event), count in effects.items():
        if count > 1:
            yield f"report {journal_id}/{seq} made {event} happen {count} times"


def _broken_histories(world: World) -> Iterator[str]:
    """Yield sessions whose events do not tell, move by move and with a name, how they came to their state."""
    history = defaultdict(list)
    for event in world.books.events:
        history[event.session_id].append(event)
        if not event.actor:
            yield f"session {event.session_id} event {event.seq}: nobody did it"
    for session in world.books.sessions:
        events = history[session.id]
        states = [BIRTH, *(event.to_state for event in events)]
        if [event.from_state for event in events] != states[:-1] or states[-1] != session.state:
            yield f"session {session.id} is {session.state}, its events tell {' '.join(states)}"
        if [event.seq for event in events] != list(range(1, session.version + 1)):
            yield f"session {session.id}: version {session.version}, events {[event.seq for event in events]}"


def _unaudited(world: World) -> Iterator[str]:
    """Yield what a person or a rule did, and for which the audit has no row of that subject and moment."""
    rows = {(row.subject, row.at_ms) for row in world.books.audit}
    yield from (f"audit of {row.subject} at {row.at_ms}: nobody did it" for row in world.books.audit if not row.actor)
    for subject, at_ms, what in chain(_device_changes(world), _label_changes(world), _orders_of_operators(world)):
        if (subject, at_ms) not in rows:
            yield f"{subject} {what} at {at_ms}: no audit row"
    acts = {(row.subject, row.actor) for row in world.books.audit}
    for event in world.books.events:
        if event.actor.startswith("operator:") and (f"session:{event.session_id}", event.actor) not in acts:
            yield f"session {event.session_id} {event.event} by {event.actor}: no audit row"


def _device_changes(world: World) -> Iterator[tuple[str, int, str]]:
    for device in world.books.devices:
        yield f"device:{device.id}", device.created_at_ms, "was registered"
        if device.service_since_ms > device.created_at_ms:
            yield f"device:{device.id}", device.service_since_ms, f"became {device.service}"


def _label_changes(world: World) -> Iterator[tuple[str, int, str]]:
    for label in world.books.labels:
        yield f"label:{label.id}", label.minted_at_ms, "was minted"
        if label.revoked_at_ms is not None:
            yield f"label:{label.id}", label.revoked_at_ms, "was revoked"


def _orders_of_operators(world: World) -> Iterator[tuple[str, int, str]]:
    for command in world.books.commands:
        if command.asked_by.startswith("operator:"):
            yield f"device:{command.device_id}", command.created_at_ms, f"was ordered to {command.action}"
