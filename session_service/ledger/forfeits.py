"""Money that a rider gives up, because the account ends."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from session_service.ledger import repository, rules, service
from session_service.ledger.transfers import first_legs, new_transfer

FORFEIT: Final = "forfeit"


def give_up(connection: Connection, *, rider_id: str, amount_minor: int, key: str, at_ms: int) -> None:
    """Move ``amount_minor`` (above 0) from what is free in a wallet to ``forfeited``; repeated, change nothing.

    Raises:
        NotSignedInError: there is no such rider.
        InsufficientFundsError: less is free.
        TransferConflictError: the key has been used with other content.
    """
    wallet = service.lock_wallet(connection, rider_id)
    transfer = new_transfer(FORFEIT, key, None, at_ms, rider_id, amount_minor)
    if first_legs(connection, transfer) is not None:
        return
    after = rules.give_up(wallet.balances, amount_minor)
    leg = rules.Leg(rules.wallet_account(rider_id), rules.FORFEITED, amount_minor)
    repository.add_transfer(connection, transfer.model_dump())
    repository.add_legs(connection, transfer.id, wallet.currency, [leg])
    repository.save_wallet(connection, rider_id, after)
