"""Sends spans to the collector, and lets them go while it does not answer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from session_service import metrics
from session_service.clock import stopwatch_s

logger: Final = logging.getLogger(__name__)

PATH: Final = "/v1/traces"  # OTLP's own
QUEUE: Final = 4_096  # spans, a kilobyte each: 800 Starts, what five seconds bring at the most; more is dropped
BATCH: Final = 512  # spans in a request
EVERY_MS: Final = 1_000  # how old a span gets before it is sent
TIMEOUT_S: Final = 3.0  # for a request, tries included; the service's stop may wait for it
QUIET_S: Final = 30.0  # no further try for so long after one that has failed
THEIRS: Final = ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk._shared_internal")
"""Loggers of what sends: they write lines for every try and every span that is dropped. Ours writes one."""


def batches_to(endpoint: str) -> BatchSpanProcessor:
    """Return what gathers spans and sends them from a thread of its own.

    The exporter heeds the standard's other variables, such as ``OTEL_EXPORTER_OTLP_HEADERS`` and ``_CERTIFICATE``.
    """
    for name in THEIRS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + PATH, timeout=TIMEOUT_S)
    return _Counted(
        _Patient(exporter, endpoint),
        max_queue_size=QUEUE,
        max_export_batch_size=BATCH,
        schedule_delay_millis=EVERY_MS,
    )


class _Counted(BatchSpanProcessor):
    """Counts what comes in: less what was sent and lost, it is what waits or did not fit."""

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is not None and span.context.trace_flags.sampled:
            metrics.SPANS.labels("made").inc()
        super().on_end(span)


class _Patient(SpanExporter):
    """An exporter that, when its collector has not answered, does not ask it again for a while. One thread uses it."""

    def __init__(self, inner: SpanExporter, endpoint: str) -> None:
        self._inner = inner
        self._endpoint = endpoint
        self._quiet_until_s = 0.0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        if stopwatch_s() >= self._quiet_until_s:
            result = self._inner.export(spans)
            if result is SpanExportResult.FAILURE:
                self._quiet_until_s = stopwatch_s() + QUIET_S
                logger.warning(
                    "traces not taken by the collector at %s, not asked again for %.0f s", self._endpoint, QUIET_S
                )
        outcome = "sent" if result is SpanExportResult.SUCCESS else "lost"
        metrics.SPANS.labels(outcome).inc(len(spans))
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()
