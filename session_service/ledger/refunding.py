"""Asks the provider for refunds: at once, and again for as long as one has no end, as after a crash of either side."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Final

from sqlalchemy import Connection

from session_service import metrics
from session_service.clock import Clock
from session_service.database import Database
from session_service.ledger import refunds
from session_service.ledger import refunds_repository as rows
from session_service.ledger.errors import PaymentMismatchError, ProviderUnavailableError
from session_service.ledger.model import RefundStatus, WalletRefundPart
from session_service.ledger.payments import PaymentProvider, Refund, RefundWish
from session_service.settings import Settings

logger = logging.getLogger(__name__)

WEBHOOK_PATH: Final = "/v1/payments/{provider}/webhooks"
LOOK_EVERY_S: Final = 5.0  # a refund takes banks days; a crash has lost no more than this
ASK_AGAIN_MS: Final = 30_000  # a provider that is away is asked this often, and one that has not decided, too
AT_ONCE: Final = 20  # parts asked for in one round, one after the other; the rest wait for the next


class Refunding:
    """Runs until it is cancelled. What fails in one round is tried again in the next."""

    def __init__(self, database: Database, clock: Clock, provider: PaymentProvider, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._provider = provider
        self._webhook_url = settings.public_url.rstrip("/") + WEBHOOK_PATH.format(provider=provider.name)

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            try:
                await self.ask_again()
            except Exception:  # also a mistake of ours: it must not end all later rounds
                logger.exception("refunds not looked at, trying again in %.0f s", LOOK_EVERY_S)
            await asyncio.sleep(LOOK_EVERY_S)

    async def ask_again(self) -> None:
        """Ask for what has had no answer for a while."""
        before_ms = self._clock.now_ms() - ASK_AGAIN_MS
        unsettled = await self._database.read(lambda c: rows.unsettled(c, before_ms, AT_ONCE))
        metrics.REFUNDS_WAITING.set(len(unsettled))
        for part in unsettled:
            await self._ask(part)

    async def ask(self, refund_id: str) -> None:
        """Ask for the parts of one refund that have no end yet."""
        for part in await self._database.read(lambda c: rows.parts_of(c, [refund_id])):
            if part.status == RefundStatus.PENDING:
                await self._ask(part)

    async def _ask(self, part: WalletRefundPart) -> None:
        currency = await self._database.write(partial(self._about_to_ask, part))
        wish = RefundWish(part.reference, part.payment_id, part.amount_minor, currency, self._webhook_url)
        try:
            answer = await self._provider.create_refund(wish)
            await self._database.write(partial(self._note, part, answer))
        except ProviderUnavailableError as error:
            logger.warning("refund not taken, it is asked for again reference=%s: %s", part.reference, error)
        except PaymentMismatchError:
            pass  # it has been logged; its money is in the wallet, and the next round does not ask for it

    def _about_to_ask(self, part: WalletRefundPart, connection: Connection) -> str:
        rows.note_asked(connection, part, self._clock.now_ms())
        refund = rows.find(connection, part.refund_id)
        if refund is None:
            raise LookupError(part.refund_id)
        return refund.currency

    def _note(self, part: WalletRefundPart, answer: Refund, connection: Connection) -> None:
        if answer.result is not None:
            refunds.settle(connection, part, answer.result, answer.id, self._clock.now_ms())
