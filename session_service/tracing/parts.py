"""The service's parts, with spans around what they do: each stands in the place of the plain one while traces are on.

So the plain ones know nothing of traces, and where those are off nothing is asked on a rider's way.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, Final, TypeVar

from opentelemetry.trace import Span
from sqlalchemy import Connection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broker.contract import messages
from broker.contract.messages import Command, CommandReport, Report
from broker.contract.topics import Channel
from session_service.commands.dispatcher import Dispatcher
from session_service.database import Database, Work, open_database
from session_service.fleet.gateway import Gateway
from session_service.fleet.reports import Receipt
from session_service.measured import Measured
from session_service.tracing import traces as tracing
from session_service.tracing.opening import Parts
from session_service.tracing.traces import Traces

T = TypeVar("T")

UNTRACED: Final = frozenset({"/healthz", "/readyz", "/metrics"})  # asked every few seconds, by programs
SERVER_ERROR: Final = 500


def traced(traces: Traces) -> Parts:
    """Return the parts that make these traces."""
    return Parts(
        measured=lambda app: TracedRequests(Measured(app), traces),
        database=lambda url: TracedDatabase(open_database(url), traces),
        dispatcher=partial(TracedDispatcher, traces),
        gateway=partial(TracedGateway, traces),
        close=traces.close,
    )


class TracedRequests:
    """Middleware: a request is a trace, named by its route. Its address is not in it, which may be a label's text."""

    def __init__(self, app: ASGIApp, traces: Traces) -> None:
        self._app = app
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and watch for its answer."""
        if scope["type"] != "http" or scope["path"] in UNTRACED or _is_stream(scope):
            await self._app(scope, receive, send)
            return
        with self._traces.request(scope["method"]) as span:

            async def watch(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _note_answer(span, scope, message["status"])
                await send(message)

            await self._app(scope, receive, watch)


def _is_stream(scope: Scope) -> bool:
    """Return whether a request follows events: it lasts for hours, and so would its trace."""
    return any(name == b"accept" and b"text/event-stream" in value for name, value in scope["headers"])


def _note_answer(span: Span, scope: Scope, status: int) -> None:
    route = getattr(scope.get("route"), "path", "none")
    span.update_name(f"{scope['method']} {route}")
    span.set_attributes({"http.route": route, "http.response.status_code": status})
    if status >= SERVER_ERROR:
        tracing.note_error(span, str(status))
    span.add_event("answer")


class TracedDatabase(Database):
    """A database whose units of work are spans, where they are part of something: a request, a report."""

    def __init__(self, inner: Database, traces: Traces) -> None:
        self._inner = inner
        self._traces = traces

    @property
    def on_change(self) -> Callable[[Collection[str]], None] | None:
        """Who hears what commits have changed."""
        return self._inner.on_change

    @on_change.setter
    def on_change(self, hear: Callable[[Collection[str]], None] | None) -> None:
        self._inner.on_change = hear

    async def write(self, work: Work[T]) -> T:  # noqa: D102
        if not tracing.is_going():
            return await self._inner.write(partial(_within, tracing.now(), work))
        with self._traces.span("write", _named(work)) as span:
            return await self._inner.write(partial(_within, span, work))

    async def read(self, work: Work[T]) -> T:  # noqa: D102
        if not tracing.is_going():
            return await self._inner.read(work)
        with self._traces.span("read", _named(work)):
            return await self._inner.read(work)

    async def close(self) -> None:  # noqa: D102
        await self._inner.close()


def _within(span: Span, work: Work[T], connection: Connection) -> T:
    """Do a unit of work as a part of its own request: on SQLite it may be run by the task of another."""
    with tracing.within(span):
        return work(connection)


def _named(work: Work[Any]) -> dict[str, str]:
    """Return which unit it is, by the name of its function in our code."""
    function = work.func if isinstance(work, partial) else work
    return {"unlatch.work": getattr(function, "__qualname__", "unit")}


class TracedDispatcher(Dispatcher):
    """A dispatcher whose commands are spans, of which their reports are parts."""

    def __init__(self, traces: Traces, *arguments: Any) -> None:  # noqa: ANN401 - as Dispatcher
        super().__init__(*arguments)
        self._traces = traces

    async def publish_signed(self, device_id: str, channel: Channel, message: messages.Message) -> None:  # noqa: D102
        if not isinstance(message, Command):
            await super().publish_signed(device_id, channel, message)
            return
        with self._traces.publishing(message.id, message.action):
            await super().publish_signed(device_id, channel, message)


class TracedGateway(Gateway):
    """A gateway whose reports are spans."""

    def __init__(self, traces: Traces, *arguments: Any) -> None:  # noqa: ANN401 - as Gateway
        super().__init__(*arguments)
        self._traces = traces

    async def take_report(self, report: Report, token: str) -> Receipt:  # noqa: D102
        command_id = report.body.command_id if isinstance(report.body, CommandReport) else None
        with self._traces.reporting(str(report.body.__struct_config__.tag), command_id) as span:
            receipt = await super().take_report(report, token)
            span.set_attribute("unlatch.verdict", receipt.verdict)
            return receipt
