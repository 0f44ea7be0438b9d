"""``/v1/wallet``, the providers' messages, and the books for operators."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Path, Request, Response
from sqlalchemy import Connection

from session_service.context import Context, InContext
from session_service.errors import MalformedError
from session_service.idempotency import Answer, OnceOf, answer_once
from session_service.ledger import books, refunds, service, top_ups
from session_service.ledger.errors import ProviderUnavailableError
from session_service.ledger.model import TopUp, TopUpStatus
from session_service.ledger.payments import MAX_WEBHOOK_BYTES, PaymentProvider, PaymentWish, RefundEvent
from session_service.ledger.refunding import WEBHOOK_PATH, Refunding
from session_service.ledger.schemas import (
    AccountOut,
    LedgerCheckOut,
    RefundIn,
    RefundOut,
    RefundsOut,
    TopUpIn,
    TopUpOut,
    WalletOut,
)
from session_service.operators.endpoints import InOperator
from session_service.riders import service as riders
from session_service.riders.endpoints import InRider

TOP_UP_PAGE = "/wallet/top-ups"
"""Where providers lead riders back to, with the top-up's id after it: its page says whether the money has arrived."""

REFUNDS_SHOWN = 100

router = APIRouter()

TopUpId = Annotated[str, Path(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$", description="A top-up's id.")]
RefundId = Annotated[str, Path(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$", description="A refund's id.")]
AccountId = Annotated[
    str, Path(pattern=r"^[!-~]{1,80}$", description="An account's id, such as wallet:RIDER_ID or revenue:KIND.")
]


async def payment_provider(request: Request) -> PaymentProvider:
    """Return the payment provider of the service that the request came to."""
    return cast("PaymentProvider", request.app.state.payments)


InProvider = Annotated[PaymentProvider, Depends(payment_provider)]


@router.get("/v1/wallet", tags=["wallet"])
async def wallet(context: InContext, rider: InRider) -> WalletOut:
    """Show the wallet."""
    return WalletOut.of(await context.database.read(lambda c: service.wallet_of(c, rider.id, rider.nonce)))


@router.post("/v1/wallet/top-ups", status_code=201, tags=["wallet"])
async def create_top_up(
    context: InContext, provider: InProvider, rider: InRider, named: OnceOf, wish: TopUpIn
) -> TopUpOut:
    """Begin a payment into the wallet; pay it at ``pay_url``.

    If the provider cannot be reached (502), repeat the request with the same ``Idempotency-Key``.
    """
    now_ms = context.clock.now_ms()
    stored = await answer_once(
        context.database,
        named,
        now_ms,
        lambda c: Answer.of(201, TopUpOut.of(top_ups.create(c, rider, wish.amount_minor, provider.name, now_ms))),
    )
    first = TopUpOut.model_validate_json(bytes(stored.body))
    top_up = await context.database.read(lambda c: top_ups.find(c, first.id, rider))
    payable = await _payable(context, provider, top_up)
    return first.model_copy(update={"pay_url": payable.pay_url})


@router.get("/v1/wallet/top-ups/{top_up_id}", tags=["wallet"])
async def read_top_up(context: InContext, provider: InProvider, rider: InRider, top_up_id: TopUpId) -> TopUpOut:
    """Show whether a payment into the wallet has arrived. Without ``pay_url`` the provider has not been reached yet."""
    top_up = await context.database.read(lambda c: top_ups.find(c, top_up_id, rider))
    with suppress(ProviderUnavailableError):
        top_up = await _payable(context, provider, top_up)
    return TopUpOut.of(top_up)


@router.post("/v1/wallet/refunds", status_code=201, tags=["wallet"])
async def create_refund(
    context: InContext, provider: InProvider, rider: InRider, named: OnceOf, wish: RefundIn
) -> RefundOut:
    """Take money out of the wallet: it goes back to the payments that it came from, the newest first.

    It leaves the wallet at once. If the provider cannot give it back, it returns there; see the refund's ``status``.
    """
    now_ms = context.clock.now_ms()
    stored = await answer_once(
        context.database,
        named,
        now_ms,
        lambda c: Answer.of(201, RefundOut.of(refunds.create(c, rider, wish.amount_minor, provider.name, now_ms))),
        lambda c, _: riders.require(c, rider),
    )
    first = RefundOut.model_validate_json(bytes(stored.body))
    await Refunding(context.database, context.clock, provider, context.settings).ask(first.id)
    return first


@router.get("/v1/wallet/refunds", tags=["wallet"])
async def list_refunds(context: InContext, provider: InProvider, rider: InRider) -> RefundsOut:
    """List the rider's refunds, newest first, and how much can be taken out now."""

    def unit(connection: Connection) -> RefundsOut:
        found = refunds.newest(connection, rider, REFUNDS_SHOWN)
        refundable_minor = refunds.returnable_minor(connection, rider, provider.name)
        return RefundsOut(refundable_minor=refundable_minor, refunds=[RefundOut.of(one) for one in found])

    return await context.database.read(unit)


@router.get("/v1/wallet/refunds/{refund_id}", tags=["wallet"])
async def read_refund(context: InContext, rider: InRider, refund_id: RefundId) -> RefundOut:
    """Show how far a refund has come."""
    return RefundOut.of(await context.database.read(lambda c: refunds.find(c, refund_id, rider)))


async def _payable(context: Context, provider: PaymentProvider, top_up: TopUp) -> TopUp:
    """Return the top-up with an address to pay at, asking the provider if it has none yet. Safe to repeat."""
    if top_up.pay_url is not None or top_up.status != TopUpStatus.PENDING:
        return top_up
    public = context.settings.public_url.rstrip("/")
    webhook_url = public + WEBHOOK_PATH.format(provider=provider.name)
    return_url = f"{public}{TOP_UP_PAGE}/{top_up.id}"
    wish = PaymentWish(top_up.id, top_up.amount_minor, top_up.currency, webhook_url, return_url)
    payment = await provider.create_payment(wish)
    return await context.database.write(lambda c: top_ups.link(c, top_up.id, payment))


@router.post(WEBHOOK_PATH.format(provider="sandbox"), status_code=204, tags=["payments"])
async def take_webhook(context: InContext, provider: InProvider, request: Request) -> Response:
    """Take a payment provider's signed message. It takes effect once, however often it comes."""
    now_ms = context.clock.now_ms()
    event = provider.read_webhook(request.headers, await _bounded_body(request), now_ms)
    if isinstance(event, RefundEvent):
        await context.database.write(lambda c: refunds.take_event(c, provider.name, event, now_ms))
    elif event is not None:
        await context.database.write(lambda c: top_ups.take_event(c, provider.name, event, now_ms))
    return Response(status_code=204)


async def _bounded_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_WEBHOOK_BYTES:
            msg = f"A webhook's body has at most {MAX_WEBHOOK_BYTES} bytes."
            raise MalformedError(msg)
    return bytes(body)


@router.get("/v1/ops/ledger/check", tags=["ledger"])
async def check_ledger(context: InContext, _operator: InOperator) -> LedgerCheckOut:
    """Check that the books are in order."""
    total, problems = await context.database.read(lambda c: (books.sum_minor(c), books.check(c)))
    return LedgerCheckOut(sum_minor=total, ok=not problems, problems=problems)


@router.get("/v1/ops/ledger/accounts/{account_id}", tags=["ledger"])
async def read_account(context: InContext, _operator: InOperator, account_id: AccountId) -> AccountOut:
    """Show an account with its newest entries."""
    return AccountOut.of(await context.database.read(lambda c: books.account_statement(c, account_id)))
