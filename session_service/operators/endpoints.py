"""Who is asking, among operators, and whether they may; ``/v1/ops/sign-ins`` and ``/v1/ops/operators``."""

from __future__ import annotations

import hmac
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Request, Response
from sqlalchemy import Connection

from session_service import access
from session_service.context import Context, InContext
from session_service.credentials import (
    clear_operator_cookie,
    ensure_own_page,
    operator_credential,
    set_operator_cookie,
)
from session_service.idempotency import (
    Answer,
    IdempotencyKey,
    Once,
    OnceOf,
    answer_once,
    answered,
    name_of,
    secret_once,
)
from session_service.operators import lockout, passwords, repository, service, sign_ins, tokens, totp
from session_service.operators.desk import Desk, desk
from session_service.operators.errors import NoSignInError, SignInFailedError
from session_service.operators.model import Operator, SignIn
from session_service.operators.schemas import (
    ColleagueOut,
    ColleaguesOut,
    CurrentOut,
    NewSignIn,
    OperatorOut,
    OperatorsOut,
    PasswordIn,
    RoleIn,
    SignedInOut,
    SignInIn,
    WhyIn,
)
from session_service.operators.service import By, OperatorIdentity
from session_service.operators.sign_ins import Try

router = APIRouter(tags=["operators"])

NOT_STORED: Final = {"Cache-Control": "no-store"}

OperatorId = Annotated[str, Path(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$", description="An operator's id.")]


async def operator(request: Request, context: InContext) -> OperatorIdentity:
    """Return the operator whose token the request carries, if the table of access lets them do this.

    Raises:
        NotSignedInError: it carries none, or nobody's.
        NotAllowedError: the operator's role does not suffice.
        CrossSiteError: the token is in a cookie, and the request may come from another site.
    """
    (token, is_cookie), now_ms = operator_credential(request), context.clock.now_ms()
    if is_cookie:
        ensure_own_page(request)
    who = await context.database.read(lambda c: service.identify(c, token, context.settings.cell, now_ms))
    who.require(access.operation(request.scope))
    if (begun := who.sign_in) is not None and now_ms - begun.used_at_ms >= service.USE_NOTED_EVERY_MS:
        await context.database.write(lambda c: repository.note_use(c, begun.id, now_ms))
    return who


InOperator = Annotated[OperatorIdentity, Depends(operator)]


# -- Signing in


async def sealed_once(request: Request, context: InContext, key: IdempotencyKey = None) -> Once:
    """Read the name of a request as for every POST, but with a keyed digest of the body, which has a password in it.

    A plain one would lie in the database as something to try passwords against, a thousand times as fast as argon2id.
    """
    if key is None:
        return name_of(request, None, b"")
    return name_of(request, key, hmac.digest(context.secrets.token_secret, await request.body(), "sha256"))


SealedOnceOf = Annotated[Once, Depends(sealed_once)]
InDesk = Annotated[Desk, Depends(desk)]


@router.post("/v1/ops/sign-ins", status_code=201)
async def sign_in(
    request: Request, response: Response, context: InContext, at: InDesk, named: SealedOnceOf, wish: SignInIn
) -> SignedInOut:
    """Sign in with name, password and, where the operator has one, a code of the authenticator app.

    The token ends half an hour after its last use, and twelve hours after it was made at the latest. Tries that fail
    have to wait. Repeated with the same ``Idempotency-Key``, of 22 random characters or more, the token is the same.
    The dashboard asks for a cookie instead, which its scripts cannot read.
    """
    if wish.cookie:
        ensure_own_page(request)
    tried = _try(request, context, wish.name, wish.code)
    await secret_once(named)
    async with at.turn():
        found = await _checked(context, at, tried, wish.password)
        try:
            stored = await answer_once(
                context.database, named, tried.now_ms, lambda c: _begin(c, context, found, tried)
            )
        except SignInFailedError:
            await context.database.write(lambda c: sign_ins.note_failure(c, tried))
            raise
    new = NewSignIn.model_validate_json(bytes(stored.body))
    response.headers.update(NOT_STORED)
    token = _token(context, new.nonce)
    if wish.cookie:
        set_operator_cookie(request, response, token)
    return SignedInOut(**new.model_dump(exclude={"nonce"}), token=None if wish.cookie else token)


def _begin(connection: Connection, context: Context, found: Operator, tried: Try) -> Answer:
    nonce = tokens.new_nonce()
    sha256 = tokens.digest(_token(context, nonce))
    begun = sign_ins.begin(connection, found, tried, totp.box(context.secrets.token_secret), sha256)
    shown = CurrentOut.of(service.identity_of(found, begun), context.settings.cell)
    return Answer.of(201, NewSignIn(**shown.model_dump(), nonce=nonce))


def _token(context: Context, nonce: str) -> str:
    return tokens.sign_in_token(context.secrets.token_secret, context.settings.cell, nonce)


@router.get("/v1/ops/sign-ins/current")
async def current(context: InContext, who: InOperator) -> CurrentOut:
    """Show whose token the request carries, and until when it is good."""
    return CurrentOut.of(who, context.settings.cell)


@router.delete("/v1/ops/sign-ins/current", status_code=204)
async def sign_out(request: Request, context: InContext, who: InOperator) -> Response:
    """Sign out: the token is nobody's from now on."""
    begun = _begun(who)
    await context.database.write(lambda c: sign_ins.end(c, begun, context.clock.now_ms()))
    response = Response(status_code=204)
    clear_operator_cookie(request, response)
    return response


@router.post("/v1/ops/sign-ins/current/password", response_model=OperatorOut)
async def change_password(
    request: Request, context: InContext, at: InDesk, who: InOperator, named: SealedOnceOf, wish: PasswordIn
) -> Response:
    """Change one's own password. All other sign-ins of the operator end."""
    begun, tried = _begun(who), _try(request, context, who.name, None)
    by = By(who.actor, tried.now_ms)
    async with at.turn():
        if (before := await context.database.read(lambda c: answered(c, named))) is not None:
            return before.response()
        await _checked(context, at, tried, wish.old_password)
        stored_hash = await at.hashing(lambda: passwords.hashed(wish.new_password, who.name))

        def work(connection: Connection) -> Answer:
            service.set_password(connection, service.one(connection, who.id), stored_hash, by, begun.id)
            return Answer.of(200, OperatorOut.of(service.one(connection, who.id)))

        return await answer_once(context.database, named, by.now_ms, work)


def _try(request: Request, context: Context, name: str, code: str | None) -> Try:
    secret = context.secrets.token_secret
    place = lockout.place_of(secret, request.client.host if request.client else None)
    return Try(name, code, lockout.keys_of(secret, name, place), context.clock.now_ms())


async def _checked(context: Context, at: Desk, tried: Try, password: str) -> Operator:
    """Return the operator who has this name and password.

    Raises:
        SignInFailedError: there is none; the try has been counted.
        TooManyRequestsError: it comes too early.
    """
    found = await context.database.read(lambda c: sign_ins.candidate(c, tried))
    stored = found.password_hash if found else None
    if not await at.hashing(lambda: passwords.is_right(stored, password)) or found is None:
        await context.database.write(lambda c: sign_ins.note_failure(c, tried))
        raise tried.failed()
    return found


def _begun(who: OperatorIdentity) -> SignIn:
    if who.sign_in is None:
        msg = "A program's token ends with: unlatch operator revoke NAME, or POST /v1/ops/operators/{id}/revoke."
        raise NoSignInError(msg)
    return who.sign_in


# -- Who the operators are


@router.get("/v1/ops/operators")
async def every(context: InContext, _operator: InOperator) -> OperatorsOut:
    """List all operators, revoked ones too."""
    found = await context.database.read(repository.all_of_them)
    return OperatorsOut(operators=[OperatorOut.of(row) for row in found])


@router.get("/v1/ops/colleagues")
async def colleagues(context: InContext, _operator: InOperator) -> ColleaguesOut:
    """List the operators by name, so that what is assigned to one can be shown, and assigned to another."""
    found = await context.database.read(repository.all_of_them)
    return ColleaguesOut(colleagues=[ColleagueOut.of(row) for row in found])


@router.post("/v1/ops/operators/{operator_id}/role", response_model=OperatorOut)
async def set_role(
    context: InContext, who: InOperator, named: OnceOf, operator_id: OperatorId, wish: RoleIn
) -> Response:
    """Give an operator another role. It counts at once, and the operator's sign-ins end."""
    by = By(who.actor, context.clock.now_ms(), wish.reason)

    def work(connection: Connection) -> Answer:
        service.set_role(connection, service.one(connection, operator_id), wish.role, by)
        return Answer.of(200, OperatorOut.of(service.one(connection, operator_id)))

    return await answer_once(context.database, named, by.now_ms, work)


@router.post("/v1/ops/operators/{operator_id}/revoke", response_model=OperatorOut)
async def revoke(context: InContext, who: InOperator, named: OnceOf, operator_id: OperatorId, wish: WhyIn) -> Response:
    """Let an operator do nothing from now on: the token is nobody's, and the sign-ins end."""
    by = By(who.actor, context.clock.now_ms(), wish.reason)

    def work(connection: Connection) -> Answer:
        service.revoke(connection, service.one(connection, operator_id), by)
        return Answer.of(200, OperatorOut.of(service.one(connection, operator_id)))

    return await answer_once(context.database, named, by.now_ms, work)
