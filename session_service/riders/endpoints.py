"""``/v1/riders``, and the dependency that says which rider is asking."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from sqlalchemy import Connection

from session_service.context import InContext, bearer_token, context_of
from session_service.errors import NotSignedInError
from session_service.idempotency import Answer, SecretOnceOf, answer_once
from session_service.riders import service
from session_service.riders.schemas import NewRider, RiderIn, RiderOut
from session_service.riders.token import SIGN_IN, RiderIdentity, make_token, read_token

router = APIRouter(tags=["riders"])


async def signed_in_rider(request: Request) -> RiderIdentity:
    """Return who is asking, by the token's mac alone. Whoever uses the identity compares its nonce with the row's.

    Raises:
        NotSignedInError: there is no token, or it is not one of ours.
    """
    identity = read_token(context_of(request).secrets.token_secret, bearer_token(request))
    if identity is None:
        raise NotSignedInError(SIGN_IN)
    return identity


InRider = Annotated[RiderIdentity, Depends(signed_in_rider)]


@router.post("/v1/riders", status_code=201)
async def create(context: InContext, named: SecretOnceOf, _wish: RiderIn | None = None) -> RiderOut:
    """Become a rider. Keep the token: it is the only key to the wallet, and it is shown here only.

    Repeated with the same ``Idempotency-Key`` the answer is the same token, so that key must be as hard to guess as
    the token: 22 random characters or more.
    """

    def work(connection: Connection) -> Answer:
        rider = service.create(connection, context.settings.currency, context.clock.now_ms())
        return Answer.of(201, NewRider(rider_id=rider.id, nonce=rider.nonce))

    stored = await answer_once(context.database, named, context.clock.now_ms(), work)
    new = NewRider.model_validate_json(bytes(stored.body))
    return RiderOut(
        rider_id=new.rider_id, token=make_token(context.secrets.token_secret, RiderIdentity(new.rider_id, new.nonce))
    )
