"""``/v1/riders/me``: all that is kept about a rider, and its end."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from session_service.accounts import export, service
from session_service.accounts.schemas import ErasedOut, ErasureIn
from session_service.context import Context, InContext
from session_service.credentials import clear_cookie
from session_service.idempotency import Answer, Once, OnceOf, answer_once
from session_service.riders.endpoints import InRider
from session_service.riders.token import RiderIdentity

router = APIRouter(tags=["riders"])

FILE_NAME: Final = "unlatch-export.json"
DOCUMENT: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Everything, to be saved as a file",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}


@router.get("/v1/riders/me/export", response_class=StreamingResponse, responses=DOCUMENT)
async def export_me(context: InContext, rider: InRider) -> StreamingResponse:
    """Give everything that is kept about the rider as one JSON document."""
    return await export_of(context, rider)


async def export_of(context: Context, rider: RiderIdentity) -> StreamingResponse:
    """Return a rider's document as a file; who may not have it learns so before it begins.

    Raises:
        NotSignedInError: there is no such rider, or the token has been revoked.
    """
    now_ms = context.clock.now_ms()
    begin = await context.database.read(lambda c: export.head(c, rider, now_ms))
    return StreamingResponse(
        export.document(context.database, begin, rider.id),
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{FILE_NAME}"'},
    )


@router.post("/v1/riders/me/erasure", response_model=ErasedOut)
async def erase_me(
    request: Request, context: InContext, rider: InRider, named: OnceOf, wish: ErasureIn | None = None
) -> Response:
    """Erase the account for good: no token works any more, and what has to stay for the books is about nobody.

    It is refused while a ride is not over, a debt is unpaid, or a payment may still arrive. Money in the wallet is
    given up only if ``give_up_minor`` says exactly how much. Repeated with the same ``Idempotency-Key`` and the token
    that has ended, the answer is the same.
    """
    response = await erase_once(context, rider, named, None if wish is None else wish.give_up_minor)
    clear_cookie(request, response)
    return response


async def erase_once(context: Context, rider: RiderIdentity, named: Once, give_up_minor: int | None) -> Response:
    """Erase an account once, however often that is asked for.

    Raises:
        Problem: it cannot be done yet; see ``service.erase``.
    """
    now_ms = context.clock.now_ms()
    return await answer_once(
        context.database,
        named,
        now_ms,
        lambda c: Answer.of(200, ErasedOut.of(service.erase(c, rider, give_up_minor, named.key, now_ms), now_ms)),
    )
