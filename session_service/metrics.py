"""What Prometheus reads at ``/metrics``: every queue, outcome and latency. docs/monitoring.md is written from it.

Labels have few values each; a device, a session or a rider is never one. Exemplars carry a command's id and nothing
else: it is random and opens nothing, only operators can look it up, and a session's or a rider's id would show anybody
who reads the figures who rode when. Figures of a unit of work are counted where it happens, so a unit that is rolled
back may be counted; they are for looking, money is counted in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from prometheus_client import Counter, Gauge, Histogram


class Timed(Histogram):
    """A histogram whose exemplars name the trace of what took so long, where there are traces.

    Attributes:
        trace_of_now: gives the exemplar of what is going on; ``None`` while traces are off.
    """

    trace_of_now: ClassVar[Callable[[], dict[str, str] | None] | None] = None

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Count ``amount`` seconds; ``exemplar`` says of what, besides the trace."""
        if Timed.trace_of_now is not None and (trace := Timed.trace_of_now()) is not None:
            exemplar = trace if exemplar is None else exemplar | trace
        super().observe(amount, exemplar)


MESSAGES: Final = Counter("unlatch_messages_total", "Messages from devices that were good.", ["channel"])
REJECTED: Final = Counter(
    "unlatch_messages_rejected_total", "Messages that had no effect, by reason.", ["channel", "reason"]
)
REPORTS: Final = Counter("unlatch_reports_total", "Reports by what became of them.", ["verdict"])
MOVES: Final = Counter("unlatch_session_moves_total", "Moves of sessions past a Start's own two, by event.", ["event"])
PROBLEMS: Final = Counter("unlatch_problems_total", "Requests that were refused, by problem type.", ["type"])
ALERTS_RAISED: Final = Counter("unlatch_alerts_raised_total", "Alerts that began.", ["severity"])
ALERTS_ACTIVE: Final = Gauge("unlatch_alerts_active", "Alerts that last.", ["severity"])
NOTICES: Final = Counter("unlatch_alert_notices_total", "Tries to send alerts on.", ["channel", "outcome"])
NOTICES_WAITING: Final = Gauge("unlatch_alert_notices_waiting", "Notices of alerts that are still to be sent.")
CONNECTED: Final = Gauge("unlatch_broker_connected", "1 while the gateway is connected to the broker.")
INSTANCE_JOINED: Final = Gauge(
    "unlatch_instance_joined", "Where there are several instances: 1 while this one is in touch with the others."
)
INSTANCE_LEADS: Final = Gauge(
    "unlatch_instance_leads", "Where there are several instances: 1 on the one that does what is done once."
)
BACKLOG: Final = Gauge("unlatch_gateway_backlog", "Messages that wait to be handled.")
TELEMETRY_STORED: Final = Counter("unlatch_telemetry_stored_total", "Heartbeats stored as telemetry.")
TELEMETRY_DROPPED: Final = Counter(
    "unlatch_telemetry_dropped_total",
    "Heartbeats that telemetry has lost or refused: overflow, late, repeated, error.",
    ["reason"],
)
TELEMETRY_WAITING: Final = Gauge("unlatch_telemetry_waiting", "Heartbeats that wait to be stored as telemetry.")
STARTS: Final = Counter(
    "unlatch_starts_total",
    "Starts by what came of the command to unlock first (active, not_unlocked, unknown, ...), or refused without one.",
    ["state"],
)
SESSIONS: Final = Gauge(
    "unlatch_sessions", "Sessions that are not over, by state; counted every ten seconds.", ["state"]
)
COMMANDS_SENT: Final = Counter(
    "unlatch_commands_sent_total",
    "Commands handed to the broker (sent), or not (failed: sent again later).",
    ["result"],
)
COMMANDS_UNSENT: Final = Gauge(
    "unlatch_commands_unsent",
    "Commands that the last sweep found in the outbox, a second after they were made; 200 at the most.",
)
COMMAND_SECONDS: Final = Timed(
    "unlatch_command_seconds",
    "From the making of a command to its device's word on it: accepted, then done, refused or expired.",
    ["action", "result"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 8, 10, 30, 300),
)
REPORT_AGE: Final = Timed(
    "unlatch_report_age_seconds",
    "From the moment of which a stored report speaks to its storing, by kind.",
    ["kind"],
    buckets=(0.01, 0.05, 0.2, 1, 5, 30, 300, 3_600, 86_400),
)
SWEEP_SECONDS: Final = Timed(
    "unlatch_sweep_seconds",
    "Time that a sweep of what is due takes.",
    buckets=(0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
SWEEP_DUE: Final = Gauge("unlatch_sweep_due", "Sessions that the last sweep found due; 500 at the most.")
WRITES_WAITING: Final = Gauge("unlatch_writes_waiting", "Units of work that wait for their commit.")
WRITE_SECONDS: Final = Timed(
    "unlatch_write_seconds",
    "From the asking for a unit of work to its commit, waiting included.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
)
COMMIT_SECONDS: Final = Timed(
    "unlatch_commit_seconds",
    "Time of a commit on SQLite, which is the disk's.",
    buckets=(0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1),
)
SPANS: Final = Counter(
    "unlatch_trace_spans_total",
    "Spans of traces: made, sent, or lost because the collector did not take them; the rest waits or did not fit.",
    ["outcome"],
)
STREAMS: Final = Gauge("unlatch_event_streams", "Event streams that are open, of riders and of dashboards.", ["of"])
TAKINGS_WAITING: Final = Gauge(
    "unlatch_takings_waiting", "Takings that wait to be added up; they are in every figure all the same."
)
TOP_UPS: Final = Counter("unlatch_top_ups_total", "Top-ups: begun, paid, failed, mismatch.", ["outcome"])
REFUNDS: Final = Counter("unlatch_refunds_total", "Parts of refunds that have an end: done, failed.", ["outcome"])
REFUNDS_WAITING: Final = Gauge(
    "unlatch_refunds_waiting", "Parts of refunds that the provider has not decided half a minute later; 20 at the most."
)
REPLAYS: Final = Counter("unlatch_idempotency_replays_total", "Requests that were answered as their first sending was.")
PHOTOS_WAITING: Final = Gauge("unlatch_photos_waiting", "Photographs of labels that are being read or wait for it.")
CERTIFICATE_EXPIRES: Final = Gauge(
    "unlatch_certificate_expires_seconds",
    "When the service's certificate for the broker ends, in seconds since 1970; 0 until the first try to connect.",
)
UNLOCK_SECONDS: Final = Timed(
    "unlatch_unlock_seconds",
    "From the request for a session to the outcome of its unlock.",
    ["outcome"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 30),
)
REQUEST_SECONDS: Final = Timed(
    "unlatch_http_request_seconds",
    "Time to answer a request, waiting included.",
    ["method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)

for _metric, _values in (
    (STARTS, ("active", "not_unlocked", "unknown", "refused")),
    (TOP_UPS, ("begun", "paid", "failed", "mismatch")),
    (REFUNDS, ("done", "failed")),
    (COMMANDS_SENT, ("sent", "failed")),
    (STREAMS, ("rider", "dashboard")),
):
    for _value in _values:  # from 0 on, so that the first one is an increase, and a share of none is 0
        _metric.labels(_value)
