"""``/wallet``: what is in it, and the way to pay in and back to where the rider was.

A payment begins with a form and ends on the top-up's own page, to which the provider leads back. That page says whether
the money has arrived, asks again until it has, and then starts what the rider had scanned before, with one button.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final

from babel.numbers import get_currency_precision
from fastapi import APIRouter, Path, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from session_service.credentials import origin_of
from session_service.errors import MalformedError, NotSignedInError, Problem
from session_service.idempotency import Once, name_of
from session_service.ledger import endpoints as ledger_endpoints
from session_service.ledger import refunds, top_ups
from session_service.ledger import service as ledger
from session_service.ledger.endpoints import TOP_UP_PAGE, InProvider
from session_service.ledger.errors import DebtUnpaidError, ProviderUnavailableError, RefundTooLargeError
from session_service.ledger.model import TopUp
from session_service.ledger.payments import PaymentProvider
from session_service.ledger.refunds import Refunded
from session_service.ledger.rules import MAX_TOP_UP_MINOR, MIN_TOP_UP_MINOR
from session_service.ledger.schemas import RefundIn, TopUpIn, WalletOut
from session_service.riders import service as riders
from session_service.riders.token import SIGN_IN, RiderIdentity
from session_service.web.forms import Form, InForm, PageRoute, seeother
from session_service.web.pages import InVisit, Visit
from session_service.web.then import remembered
from session_service.web.words import told

router = APIRouter(include_in_schema=False, route_class=PageRoute)

REFUNDS_PAGE: Final = "/wallet/refunds"
AMOUNTS: Final = (10, 20, 50)  # whole units of the currency: some rides, a week's, a month's
SHOWN: Final = 10  # payments on the page; all of them are in the history
_AMOUNT: Final = re.compile(r"(\d{1,6})(?:[.,](\d{1,3}))?", re.ASCII)

TopUpId = Annotated[str, Path(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A wallet as its page shows it; ``wallet`` is ``None`` for somebody who is no rider yet."""

    currency: str
    wallet: WalletOut | None
    payments: list[TopUp]
    refunds: list[Refunded]
    refundable_minor: int
    then: str | None

    @property
    def amounts(self) -> list[int]:
        """What to pay in, in minor units."""
        return [amount * 10 ** get_currency_precision(self.currency) for amount in AMOUNTS]


@router.get("/wallet")
async def wallet_page(visit: InVisit, provider: InProvider) -> HTMLResponse:
    """Show what is in the wallet, how to pay in, and how to get it back."""
    return await _page(visit, provider)


@router.post(TOP_UP_PAGE)
async def pay_in(form: InForm, provider: InProvider) -> Response:
    """Begin a payment, and go to the provider's page; whoever is no rider yet becomes one."""
    visit = form.visit
    try:
        wish = TopUpIn(amount_minor=_amount_minor(form.fields, visit.context.settings.currency))
    except ValueError:
        return await _page(visit, provider, MalformedError("Choose an amount within the bounds."), bad_amount=True)
    rider = await form.rider()
    named = _by(rider, form)
    try:
        begun = await ledger_endpoints.create_top_up(visit.context, provider, rider, named, wish)
    except ProviderUnavailableError as error:
        response: Response = seeother(f"{TOP_UP_PAGE}/{error.extra['top_up_id']}")
    else:
        response = seeother(begun.pay_url or f"{TOP_UP_PAGE}/{begun.id}")
    form.keep_rider(response, rider)
    return response


@router.get(TOP_UP_PAGE)
@router.get(REFUNDS_PAGE)
async def back_to_the_wallet(visit: InVisit) -> Response:
    """Lead back from the address of a form, where a reload or another language asks for a page."""
    query = visit.request.url.query
    return seeother(f"/wallet?{query}" if query else "/wallet")


@router.post(REFUNDS_PAGE)
async def take_out(form: InForm, provider: InProvider) -> Response:
    """Let money go back to where it came from, and show that it is on its way."""
    visit = form.visit
    if visit.rider is None:
        raise NotSignedInError(SIGN_IN)
    try:
        wish = RefundIn(amount_minor=_amount_minor(form.fields, visit.context.settings.currency))
        await ledger_endpoints.create_refund(visit.context, provider, visit.rider, form.named, wish)
    except ValueError:
        return await _page(visit, provider, MalformedError("Choose an amount within the bounds."), bad_refund=True)
    except (RefundTooLargeError, DebtUnpaidError) as problem:
        return await _page(visit, provider, problem)
    return seeother("/wallet")


@router.get(TOP_UP_PAGE + "/{top_up_id}")
async def top_up_page(visit: InVisit, provider: InProvider, top_up_id: TopUpId) -> HTMLResponse:
    """Show whether a payment has arrived, and lead on when it has."""
    if visit.rider is None:
        raise NotSignedInError(SIGN_IN)
    top_up = await ledger_endpoints.read_top_up(visit.context, provider, visit.rider, top_up_id)
    wallet = await visit.context.database.read(partial(_wallet, visit.rider))
    return visit.page("wallet_top_up.html", top_up=top_up, wallet=wallet, then=remembered(visit.request))


async def _page(
    visit: Visit,
    provider: PaymentProvider,
    problem: Problem | None = None,
    *,
    bad_amount: bool = False,
    bad_refund: bool = False,
) -> HTMLResponse:
    view = await visit.context.database.read(partial(_view, visit, provider.name))
    words = None if problem is None or bad_amount or bad_refund else told(visit.language, problem)
    return visit.page(
        "wallet.html",
        problem.status if problem else 200,
        view=view,
        words=words,
        bad_amount=bad_amount,
        bad_refund=bad_refund,
        least_minor=MIN_TOP_UP_MINOR,
        most_minor=MAX_TOP_UP_MINOR,
        policy={"form-action": origin_of(visit.context.settings.payment_url)},  # browsers hold the redirect to it, too
    )


def _view(visit: Visit, provider: str, connection: Connection) -> View:
    rider, currency, then = visit.rider, visit.context.settings.currency, remembered(visit.request)
    if rider is None or not riders.is_current(connection, rider):
        return View(currency=currency, wallet=None, payments=[], refunds=[], refundable_minor=0, then=then)
    return View(
        currency=currency,
        wallet=_wallet(rider, connection),
        payments=top_ups.newest(connection, rider, SHOWN),
        refunds=refunds.newest(connection, rider, SHOWN),
        refundable_minor=refunds.returnable_minor(connection, rider, provider),
        then=then,
    )


def _wallet(rider: RiderIdentity, connection: Connection) -> WalletOut:
    return WalletOut.of(ledger.wallet_of(connection, rider.id, rider.nonce))


def _by(rider: RiderIdentity, form: Form) -> Once:
    """Return the form's name as the rider's: the visitor's has been used if the rider was made by this very form."""
    content = repr(sorted(form.fields.items())).encode()
    return name_of(form.visit.request, form.named.key, content, caller=f"rider:{rider.id}")


def _amount_minor(fields: Mapping[str, str], currency: str) -> int:
    """Return the amount of a button, or the one that was typed in, with a comma or a full stop.

    Raises:
        ValueError: it is no amount of this currency.
    """
    if "amount_minor" in fields:
        return int(fields["amount_minor"])
    typed = unicodedata.normalize("NFKC", fields.get("amount", "")).strip()
    precision: int = get_currency_precision(currency)
    found = _AMOUNT.fullmatch(typed)
    if found is None or len(found[2] or "") > precision:
        raise ValueError(typed)
    return int(found[1] + (found[2] or "").ljust(precision, "0"))
