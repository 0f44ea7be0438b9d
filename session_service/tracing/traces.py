"""Makes spans and hands them to the exporter, which has a thread of its own.

A span says what was done, how long it took and by which command: never a token, a position, a label, an address or an
exception's text, which may hold any of them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.util.types import AttributeValue

from session_service import metrics
from session_service.clock import new_id
from session_service.tracing.sending import batches_to

COMMANDS_KEPT: Final = 5_000  # whose reports find their trace; half a kilobyte each, and most are answered in a second

Facts = Mapping[str, AttributeValue]
"""Attributes of a span."""


class Traces:
    """The traces of one running service. ``close`` sends what is left."""

    def __init__(self, endpoint: str, ratio: float, cell: str) -> None:
        """Begin.

        Args:
            endpoint: base address of a collector that takes OTLP over HTTP; ``/v1/traces`` is put behind it.
            ratio: share of requests and reports that are traced, above 0 and at most 1.
            cell: the city, to tell one installation from another.
        """
        names = {"service.name": "unlatch", "service.namespace": cell, "service.instance.id": new_id()}
        sampler = ParentBased(TraceIdRatioBased(ratio))  # a trace is there whole or not at all
        self._provider = TracerProvider(sampler, Resource.create(names), shutdown_on_exit=False)
        self._provider.add_span_processor(batches_to(endpoint))
        self._tracer = self._provider.get_tracer("session_service")
        self._commands: OrderedDict[str, Span] = OrderedDict()
        metrics.Timed.trace_of_now = exemplar_of_now

    def close(self) -> None:
        """Send what is left, and stop; for a collector that does not answer it waits a few seconds at the most."""
        metrics.Timed.trace_of_now = None
        self._provider.shutdown()

    @contextmanager
    def span(
        self,
        name: str,
        attributes: Facts,
        kind: SpanKind = SpanKind.INTERNAL,
        parent: Span | None = None,
    ) -> Iterator[Span]:
        """Time what is done within, as a part of ``parent`` or of what is going on; an error is noted by its class."""
        around = None if parent is None else trace.set_span_in_context(parent)
        span = self._tracer.start_span(name, around, kind, attributes)
        try:
            with within(span):
                yield span
        except BaseException as error:
            note_error(span, type(error).__name__)
            raise
        finally:
            span.end()

    @contextmanager
    def request(self, method: str) -> Iterator[Span]:
        """Time a request. What it says of a trace of its own is not heard: anybody can send that."""
        with self.span(method, {"http.request.method": method}, SpanKind.SERVER, trace.INVALID_SPAN) as span:
            yield span

    @contextmanager
    def publishing(self, command_id: str, action: str) -> Iterator[None]:
        """Time the handing of a command to the broker. Its reports are parts of this from now on."""
        facts = {"messaging.system": "mqtt", "unlatch.command_id": command_id, "unlatch.action": action}
        parent = None if is_going() else self._commands.get(command_id)  # the sweeper sends it again
        with self.span(f"publish {action}", facts, SpanKind.PRODUCER, parent) as span:
            self._remember(command_id, span)
            yield

    @contextmanager
    def reporting(self, kind: str, command_id: str | None) -> Iterator[Span]:
        """Time the storing of a report, in its command's trace if this instance has sent the command."""
        facts = {"messaging.system": "mqtt", "unlatch.report": kind}
        if command_id is not None:
            facts["unlatch.command_id"] = command_id
        parent = self._commands.get(command_id or "", trace.INVALID_SPAN)
        with self.span(f"report {kind}", facts, SpanKind.CONSUMER, parent) as span:
            yield span

    def _remember(self, command_id: str, span: Span) -> None:
        self._commands[command_id] = trace.NonRecordingSpan(span.get_span_context())
        if len(self._commands) > COMMANDS_KEPT:
            self._commands.popitem(last=False)


@contextmanager
def within(span: Span) -> Iterator[None]:
    """Let what is done within be a part of ``span``, which goes on afterwards."""
    with trace.use_span(span, record_exception=False, set_status_on_exception=False):
        yield


def note_error(span: Span, what: str) -> None:
    """Say that what was done has failed: an error's class or an answer's status, never an error's words."""
    span.set_status(StatusCode.ERROR, what)


def now() -> Span:
    """Return the span of what is going on; one without a context if there is none."""
    return trace.get_current_span()


def is_going() -> bool:
    """Return whether what is going on is a part of something, traced or not."""
    return now().get_span_context().is_valid


def exemplar_of_now() -> dict[str, str] | None:
    """Return the trace of what is going on, as an exemplar names it; ``None`` if it is not traced."""
    context = now().get_span_context()
    return {"trace_id": trace.format_trace_id(context.trace_id)} if context.trace_flags.sampled else None
