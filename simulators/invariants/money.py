"""What was paid, and for what: invariants 4 and 5."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

from sqlalchemy import Row

from simulators.invariants.world import World

SHUT: Final = frozenset({"held", "unlocking", "unknown", "not_unlocked"})
"""States of a session in which nobody may know of an unlock: evidence moves it on, or to review."""


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


def ledger_sum_minor(world: World) -> int:
    """Return the sum of all accounts, which double entry keeps at 0.

    Wallets and debts are taken from the cached balances, the others from the postings: so it is not 0 by form.
    """
    ours = sum(total for name, total in world.account_sums.items() if not name.startswith(("wallet:", "debt:")))
    return int(ours + sum(wallet.balance_minor - wallet.debt_minor for wallet in world.books.wallets))


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
