"""``/v1/ops/alerts``: what people should see, and what they do about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import APIRouter, Header, Path, Query, Response
from sqlalchemy import Connection

from broker.contract import topics
from session_service.alerts import history, repository, service
from session_service.alerts.kinds import TABLE, Severity
from session_service.alerts.notices import channels_of
from session_service.alerts.repository import Shown, Wanted
from session_service.alerts.schemas import (
    AlertOut,
    AlertsOut,
    AssignIn,
    ClearIn,
    HistoryOut,
    MuteIn,
    NoteIn,
    NoticeOut,
    NoticesOut,
)
from session_service.alerts.service import Act
from session_service.context import Context, InContext
from session_service.errors import VersionNeededError
from session_service.idempotency import Answer, Once, OnceOf, answer_once
from session_service.operators.endpoints import InOperator
from session_service.operators.service import By, OperatorIdentity

MAX_PAGE: Final = 500  # 250 kB of JSON
KINDS: Final = f"^({'|'.join(TABLE)})$"
ULID: Final = r"^[0-9A-HJKMNP-TV-Z]{26}$"

router = APIRouter(tags=["alerts"])

AlertId = Annotated[str, Path(pattern=ULID)]
Ulid = Annotated[str | None, Query(pattern=ULID)]
Assignee = Annotated[
    str | None, Query(pattern=r"^([0-9A-HJKMNP-TV-Z]{26}|nobody)$", description="An operator's id, or: nobody")
]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        pattern=r'^(\*|"[0-9]{1,9}")$',
        description="The version that was seen, in quotes, as the ETag has it, or * for whichever it is; 428 without.",
    ),
]


@router.get("/v1/ops/alerts")
async def every(
    context: InContext,
    _operator: InOperator,
    active: bool | None = True,  # noqa: FBT001, FBT002 - FastAPI gives it by its name
    severity: Severity | None = None,
    kind: Annotated[str | None, Query(pattern=KINDS)] = None,
    device_id: Annotated[str | None, Query(pattern=f"^{topics.DEVICE_ID.pattern}$")] = None,
    site: Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")] = None,
    assignee: Assignee = None,
    acknowledged: bool | None = None,  # noqa: FBT001
    muted: bool | None = None,  # noqa: FBT001
    group_id: Ulid = None,
    grouped: bool | None = None,  # noqa: FBT001
    before: Ulid = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
) -> AlertsOut:
    """List alerts, the newest first, those that last unless ``active=false`` asks for the others.

    With ``grouped=false`` a site that has failed is one line: its devices' alerts, which name it, are left out.
    """
    now_ms = context.clock.now_ms()
    wanted = Wanted(
        now_ms, before, limit, active, severity, kind, device_id, site, assignee, acknowledged, muted, group_id, grouped
    )
    found = await context.database.read(lambda c: repository.page(c, wanted))
    alerts = [AlertOut.of(one, now_ms) for one in found]
    return AlertsOut(alerts=alerts, next_before=alerts[-1].id if len(alerts) == limit else None)


@router.get("/v1/ops/alerts/{alert_id}")
async def one(context: InContext, _operator: InOperator, alert_id: AlertId, response: Response) -> AlertOut:
    """Show one alert. The ETag is its version."""
    found = await context.database.read(lambda c: service.look(c, alert_id))
    response.headers["ETag"] = f'"{found.alert.version}"'
    return AlertOut.of(found, context.clock.now_ms())


@router.get("/v1/ops/alerts/{alert_id}/history")
async def past(context: InContext, _operator: InOperator, alert_id: AlertId) -> HistoryOut:
    """Show what became of an alert, who did what about it, and what was sent on."""

    def work(connection: Connection) -> HistoryOut:
        events = history.events(connection, service.look(connection, alert_id).alert)
        sent = [NoticeOut.of(notice) for notice in history.notices_of(connection, alert_id)]
        return HistoryOut(events=events, notices=sent)

    return await context.database.read(work)


@router.get("/v1/ops/notices")
async def sent_on(
    context: InContext,
    _operator: InOperator,
    state: Annotated[str | None, Query(pattern=r"^(waiting|sent|given_up)$")] = None,
    before: Ulid = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
) -> NoticesOut:
    """List what is sent on about alerts, the newest first, and by which channels."""
    found = await context.database.read(lambda c: history.notices(c, state, before, limit))
    shown = [NoticeOut.of(notice) for notice in found]
    channels = channels_of(context.settings)
    return NoticesOut(channels=channels, notices=shown, next_before=shown[-1].id if len(shown) == limit else None)


@router.post("/v1/ops/alerts/{alert_id}/acknowledge", response_model=AlertOut)
async def acknowledge(
    context: InContext, operator: InOperator, named: OnceOf, alert_id: AlertId, wish: NoteIn, seen: IfMatch = None
) -> Response:
    """Say that somebody has seen it."""
    act = act_of(context, operator, wish.reason, seen)
    return await _once(context, named, act, lambda c: service.acknowledge(c, alert_id, act))


@router.post("/v1/ops/alerts/{alert_id}/assign", response_model=AlertOut)
async def assign(
    context: InContext, operator: InOperator, named: OnceOf, alert_id: AlertId, wish: AssignIn, seen: IfMatch = None
) -> Response:
    """Say who looks after it."""
    act = act_of(context, operator, wish.reason, seen)
    return await _once(context, named, act, lambda c: service.assign(c, alert_id, wish.assignee, act))


@router.post("/v1/ops/alerts/{alert_id}/mute", response_model=AlertOut)
async def mute(
    context: InContext, operator: InOperator, named: OnceOf, alert_id: AlertId, wish: MuteIn, seen: IfMatch = None
) -> Response:
    """Send it to nobody and ask for no visit for a while. A new one of the kind is muted for as long, too."""
    act = act_of(context, operator, wish.reason, seen)
    until_ms = wish.until_ms(act.by.now_ms)
    return await _once(context, named, act, lambda c: service.mute(c, alert_id, until_ms, act))


@router.post("/v1/ops/alerts/{alert_id}/clear", response_model=AlertOut)
async def clear(
    context: InContext, operator: InOperator, named: OnceOf, alert_id: AlertId, wish: ClearIn, seen: IfMatch = None
) -> Response:
    """End an alert that has been seen to. What is still so raises it anew."""
    act = act_of(context, operator, wish.reason, seen)
    return await _once(context, named, act, lambda c: service.dismiss(c, alert_id, act))


def act_of(context: Context, operator: OperatorIdentity, reason: str, seen: str | None) -> Act:
    """Return who asks, and what they have seen.

    Raises:
        VersionNeededError: they do not say.
    """
    if seen is None:
        msg = "Send the version that you have seen as If-Match, in quotes as the ETag has it, or * for whichever it is."
        raise VersionNeededError(msg)
    return Act(By(operator.actor, context.clock.now_ms(), reason), None if seen == "*" else int(seen.strip('"')))


async def _once(context: Context, named: Once, act: Act, work: Callable[[Connection], Shown]) -> Response:
    return await answer_once(
        context.database, named, act.by.now_ms, lambda c: Answer.of(200, AlertOut.of(work(c), act.by.now_ms))
    )
