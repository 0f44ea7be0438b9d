"""``/v1/ops/audit``: who did what, when and why, and whether the record of it is whole."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from sqlalchemy import Connection

from session_service.audit import repository
from session_service.audit.chain import FIRST_ID
from session_service.audit.verify import verify_some
from session_service.context import InContext
from session_service.operators import service as operators
from session_service.operators.endpoints import InOperator
from session_service.trail.schemas import AuditOut, AuditRowOut, VerificationOut

router = APIRouter(tags=["operations"])

PAGE_MAX: Final = 500  # 200 kB of JSON
ID_MAX: Final = 2_147_483_647  # the column is an INTEGER
LAST_MS: Final = 253_402_300_799_999  # the end of the year 9999
VERIFIED_AT_ONCE: Final = 5_000  # 0.1 s of a processor; whoever has more asks again

Who = Annotated[
    str | None,
    Query(pattern=r"^(cli|labels|[a-z_-]{1,20}:[!-~]{1,50})$", description="Such as operator:ID, device:ID, rule:NAME"),
]
Action = Annotated[
    str | None, Query(pattern=r"^[!-~][ -~]{0,39}$", description="How the action begins, such as command or tariff.set")
]
Moment = Annotated[int | None, Query(ge=0, le=LAST_MS)]
RowId = Annotated[int, Query(ge=FIRST_ID, le=ID_MAX)]


@router.get("/v1/ops/audit")
async def list_changes(
    context: InContext,
    _operator: InOperator,
    subject: Who = None,
    actor: Who = None,
    action: Action = None,
    since_ms: Moment = None,
    until_ms: Moment = None,
    before: Annotated[int | None, Query(ge=1, le=ID_MAX)] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
) -> AuditOut:
    """List changes, newest first: of one subject, by one actor, of one sort, from a span of time, or all.

    ``since_ms`` is the first moment, ``until_ms`` the first that is too late (real time, since the Unix epoch).
    """

    def read(connection: Connection) -> AuditOut:
        rows = repository.newest(
            connection,
            before_id=before,
            subject=subject,
            actor=actor,
            action=action,
            since_ms=since_ms,
            until_ms=until_ms,
            limit=limit,
        )
        names = operators.names(connection, {row.actor for row in rows})
        shown = [AuditRowOut.of(row, names.get(row.actor)) for row in rows]
        return AuditOut(rows=shown, next_before=rows[-1].id if len(rows) == limit else None)

    return await context.database.read(read)


@router.get("/v1/ops/audit/verification")
async def verify_chain(
    context: InContext,
    _operator: InOperator,
    from_id: RowId = FIRST_ID,
    head: Annotated[str | None, Query(pattern=r"^[0-9a-f]{64}$", description="A hash that was kept elsewhere.")] = None,
    limit: Annotated[int, Query(ge=1, le=VERIFIED_AT_ONCE)] = VERIFIED_AT_ONCE,
) -> VerificationOut:
    """Check a stretch of the chain, as ``unlatch audit verify`` checks all of it; go on with ``next_from``."""

    def read(connection: Connection) -> VerificationOut:
        found = verify_some(connection, from_id=from_id, head=head, limit=limit)
        return VerificationOut.of(found, repository.head(connection)[0])

    return await context.database.read(read)
