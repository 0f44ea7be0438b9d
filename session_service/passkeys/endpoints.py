"""``/v1/passkeys``: a guest keeps the account, and finds it again on another phone."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from sqlalchemy import Connection

from session_service.context import Context, InContext, context_of
from session_service.credentials import ensure_own_page, rider_credential
from session_service.idempotency import Answer, Once, OnceOf, answer_once
from session_service.passkeys import service
from session_service.passkeys.ceremony import site_of
from session_service.passkeys.schemas import PasskeyIn, PasskeyOut, PasskeySignInIn, PasskeysOut
from session_service.passkeys.service import Passkeys
from session_service.riders import service as riders
from session_service.riders.endpoints import InRider, first_once, told
from session_service.riders.schemas import NewRider, RiderOut
from session_service.riders.token import RiderIdentity, read_token

router = APIRouter(tags=["riders"])

PasskeyId = Annotated[str, Path(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$", description="A passkey's id.")]


def passkeys_of(context: Context) -> Passkeys:
    """Return the rules of passkeys of a running service.

    Raises:
        PasskeysNotOfferedError: it cannot have any.
    """
    return Passkeys(site_of(context.settings), context.secrets.token_secret)


async def passkeys(request: Request) -> Passkeys:
    """``passkeys_of``, as a dependency."""
    return passkeys_of(context_of(request))


InPasskeys = Annotated[Passkeys, Depends(passkeys)]


@router.get("/v1/passkeys")
async def list_passkeys(context: InContext, rider: InRider) -> PasskeysOut:
    """List the rider's passkeys, without their keys."""
    rows = await context.database.read(lambda c: service.of_rider(c, rider))
    return PasskeysOut(passkeys=[PasskeyOut.of(row) for row in rows])


@router.get("/v1/passkeys/options")
async def adding_options(context: InContext, rider: InRider, rules: InPasskeys) -> dict[str, Any]:
    """Give ``PublicKeyCredentialCreationOptionsJSON``, good for 5 minutes and one passkey."""
    now_ms = context.clock.now_ms()
    return await context.database.read(lambda c: rules.adding_options(c, rider, now_ms))


@router.post("/v1/passkeys", status_code=201, response_model=PasskeyOut)
async def add(context: InContext, rider: InRider, rules: InPasskeys, named: OnceOf, wish: PasskeyIn) -> Response:
    """Keep the rider's account with a passkey: it opens the same wallet on any phone that has it."""
    now_ms, credential = context.clock.now_ms(), wish.credential.plain()
    return await answer_once(
        context.database,
        named,
        now_ms,
        lambda c: Answer.of(201, PasskeyOut.of(rules.add(c, rider, credential, now_ms))),
        lambda c, _: riders.require(c, rider),
    )


@router.delete("/v1/riders/me/passkeys/{passkey_id}", status_code=204)
async def remove(context: InContext, rider: InRider, passkey_id: PasskeyId) -> Response:
    """Let a passkey be good no more. Delete it from the phone as well, or it will go on offering it."""
    now_ms = context.clock.now_ms()
    await context.database.write(lambda c: service.remove(c, rider, passkey_id, now_ms))
    return Response(status_code=204)


@router.get("/v1/passkeys/sign-ins/options")
async def sign_in_options(context: InContext, rules: InPasskeys) -> dict[str, Any]:
    """Give ``PublicKeyCredentialRequestOptionsJSON``, good for 5 minutes and one sign-in."""
    return rules.sign_in_options(context.clock.now_ms())


@router.post("/v1/passkeys/sign-ins", status_code=201)
async def sign_in(
    request: Request,
    response: Response,
    context: InContext,
    rules: InPasskeys,
    named: Annotated[Once, Depends(first_once)],
    wish: PasskeySignInIn,
) -> RiderOut:
    """Become the rider whose passkey this is. Tokens made before stay good: two phones at once are normal.

    A page asks for a cookie. If its browser holds another guest with money or a debt, it has to say ``leave_guest``.
    """
    if wish.cookie:
        ensure_own_page(request)
    guest = _guest_in(request, context) if wish.cookie and not wish.leave_guest else None
    now_ms, credential = context.clock.now_ms(), wish.credential.plain()

    def work(connection: Connection) -> Answer:
        rider = rules.sign_in(connection, credential, now_ms)
        if guest is not None:
            service.ensure_nothing_left(connection, guest, rider.id)
        return Answer.of(201, NewRider(rider_id=rider.id, nonce=rider.nonce))

    stored = await answer_once(context.database, named, now_ms, work, _is_in_force)
    return told(request, response, context, stored, by_cookie=wish.cookie)


def _is_in_force(connection: Connection, answer: Answer) -> None:
    first = NewRider.model_validate_json(answer.body)
    riders.require(connection, RiderIdentity(first.rider_id, first.nonce))


def _guest_in(request: Request, context: Context) -> RiderIdentity | None:
    """Return the rider whose cookie the browser has."""
    token, is_cookie = rider_credential(request)
    return read_token(context.secrets.token_secret, token) if is_cookie else None
