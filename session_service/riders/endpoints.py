"""``/v1/riders``, and the dependency that says which rider is asking."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import Connection

from session_service.context import Context, InContext, context_of
from session_service.credentials import ensure_own_page, rider_credential, set_cookie
from session_service.errors import NotSignedInError
from session_service.idempotency import (
    Answer,
    IdempotencyKey,
    Once,
    SecretOnceOf,
    answer_once,
    name_of,
    secret_once,
)
from session_service.riders import service
from session_service.riders.errors import RiderAlreadyError
from session_service.riders.schemas import NewRider, RenewalIn, RiderIn, RiderOut
from session_service.riders.token import SIGN_IN, RiderIdentity, make_token, read_token

router = APIRouter(tags=["riders"])


async def signed_in_rider(request: Request) -> RiderIdentity:
    """Return who is asking, by the token's mac alone. Whoever uses the identity compares its nonce with the row's.

    Raises:
        NotSignedInError: there is no token, or it is not one of ours.
        CrossSiteError: it is in a cookie, and the request may come from another site.
    """
    token, is_cookie = rider_credential(request)
    identity = read_token(context_of(request).secrets.token_secret, token)
    if identity is None:
        raise NotSignedInError(SIGN_IN)
    if is_cookie:
        ensure_own_page(request)
    return identity


InRider = Annotated[RiderIdentity, Depends(signed_in_rider)]


async def first_once(request: Request, key: IdempotencyKey = None) -> Once:
    """Read the name of the request of somebody who is no rider yet: when it is repeated, the cookie may be there."""
    caller = request.headers.get("authorization", "")
    named = name_of(request, key, b"" if key is None else await request.body(), caller=caller)
    return await secret_once(named)


@router.post("/v1/riders", status_code=201)
async def create(
    request: Request,
    response: Response,
    context: InContext,
    named: Annotated[Once, Depends(first_once)],
    wish: RiderIn | None = None,
) -> RiderOut:
    """Become a rider. Keep the token: it is the only key to the wallet, and it is shown here only.

    A page asks for a cookie instead, which its scripts cannot read. Repeated with the same ``Idempotency-Key`` the
    answer is the same token, so that key must be as hard to guess as the token: 22 random characters or more.
    """
    by_cookie = wish is not None and wish.cookie
    if by_cookie:
        ensure_own_page(request)

    def work(connection: Connection) -> Answer:
        if by_cookie:
            _ensure_no_rider_yet(connection, request)
        rider = service.create(connection, context.settings.currency, context.clock.now_ms())
        return Answer.of(201, NewRider(rider_id=rider.id, nonce=rider.nonce))

    stored = await answer_once(context.database, named, context.clock.now_ms(), work)
    return told(request, response, context, stored, by_cookie=by_cookie)


@router.post("/v1/riders/me/tokens", status_code=201)
async def renew_token(
    request: Request,
    response: Response,
    context: InContext,
    rider: InRider,
    named: SecretOnceOf,
    _wish: RenewalIn | None = None,
) -> RiderOut:
    """Get a new token; all others end, cookies too. With a cookie, the new token is the cookie's.

    Send an ``Idempotency-Key`` of 22 random characters or more: the token is the only key to the wallet, and if the
    answer is lost, the same request, with the token that has ended, is the only way to the new one. It is answered
    for as long as that new one is in force.
    """
    now_ms = context.clock.now_ms()

    def work(connection: Connection) -> Answer:
        renewed = service.renew_token(connection, rider, now_ms)
        return Answer.of(201, NewRider(rider_id=renewed.id, nonce=renewed.nonce))

    def is_in_force(connection: Connection, answer: Answer) -> None:
        first = NewRider.model_validate_json(answer.body)
        service.require(connection, RiderIdentity(rider.id, first.nonce))

    stored = await answer_once(context.database, named, now_ms, work, is_in_force)
    return told(request, response, context, stored, by_cookie=rider_credential(request).is_cookie)


def _ensure_no_rider_yet(connection: Connection, request: Request) -> None:
    token, is_cookie = rider_credential(request)
    identity = read_token(context_of(request).secrets.token_secret, token)
    if is_cookie and identity is not None and service.is_current(connection, identity):
        msg = "Go on as the rider that you are: GET /v1/wallet. The cookie is the only key to that wallet."
        raise RiderAlreadyError(msg)


def told(request: Request, response: Response, context: Context, stored: Response, *, by_cookie: bool) -> RiderOut:
    """Answer with the token that a stored ``NewRider`` stands for, as a cookie or in the body."""
    new = NewRider.model_validate_json(bytes(stored.body))
    token = make_token(context.secrets.token_secret, RiderIdentity(new.rider_id, new.nonce))
    response.headers["Cache-Control"] = "no-store"
    if by_cookie:
        set_cookie(request, response, token)
    return RiderOut(rider_id=new.rider_id, token=None if by_cookie else token)
