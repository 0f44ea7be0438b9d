"""``/v1/ops/views``: views of the fleet that an operator keeps; each sees and changes the own ones."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from sqlalchemy import Connection

from session_service.context import InContext
from session_service.idempotency import Answer, OnceOf, answer_once
from session_service.operators.endpoints import InOperator
from session_service.views import repository, service
from session_service.views.schemas import ViewIn, ViewOut, ViewsOut

router = APIRouter(tags=["views"])

ViewId = Annotated[str, Path(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$")]


@router.get("/v1/ops/views")
async def every(context: InContext, operator: InOperator) -> ViewsOut:
    """List one's own views."""
    found = await context.database.read(lambda c: repository.views_of(c, operator.id))
    return ViewsOut(views=[ViewOut.of(view) for view in found])


@router.post("/v1/ops/views", status_code=201, response_model=ViewOut)
async def keep(context: InContext, operator: InOperator, named: OnceOf, wish: ViewIn) -> Response:
    """Keep a view under a name. What had the name is replaced."""
    now_ms = context.clock.now_ms()

    def work(connection: Connection) -> Answer:
        return Answer.of(201, ViewOut.of(service.keep(connection, operator.id, wish.name, wish.query, now_ms)))

    return await answer_once(context.database, named, now_ms, work)


@router.delete("/v1/ops/views/{view_id}", status_code=204)
async def remove(context: InContext, operator: InOperator, view_id: ViewId) -> Response:
    """Delete one of one's own views."""
    await context.database.write(lambda c: service.remove(c, operator.id, view_id))
    return Response(status_code=204)
