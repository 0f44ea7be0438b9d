"""What Prometheus reads at ``/metrics``. Labels have few values each; a device or a rider is never one."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

MESSAGES: Final = Counter("unlatch_messages_total", "Messages from devices that were good.", ["channel"])
REJECTED: Final = Counter(
    "unlatch_messages_rejected_total", "Messages that had no effect, by reason.", ["channel", "reason"]
)
REPORTS: Final = Counter("unlatch_reports_total", "Reports by what became of them.", ["verdict"])
MOVES: Final = Counter("unlatch_session_moves_total", "Moves of sessions.", ["event"])
PROBLEMS: Final = Counter("unlatch_problems_total", "Requests that were refused, by problem type.", ["type"])
ALERTS_RAISED: Final = Counter("unlatch_alerts_raised_total", "Alerts that began.", ["severity"])
ALERTS_ACTIVE: Final = Gauge("unlatch_alerts_active", "Alerts that last.", ["severity"])
NOTICES: Final = Counter("unlatch_alert_notices_total", "Tries to send alerts on.", ["channel", "outcome"])
NOTICES_WAITING: Final = Gauge("unlatch_alert_notices_waiting", "Notices of alerts that are still to be sent.")
CONNECTED: Final = Gauge("unlatch_broker_connected", "1 while the gateway is connected to the broker.")
BACKLOG: Final = Gauge("unlatch_gateway_backlog", "Messages that wait to be handled.")
TELEMETRY_STORED: Final = Counter("unlatch_telemetry_stored_total", "Heartbeats stored as telemetry.")
TELEMETRY_DROPPED: Final = Counter(
    "unlatch_telemetry_dropped_total",
    "Heartbeats that telemetry has lost or refused: overflow, late, repeated, error.",
    ["reason"],
)
TELEMETRY_WAITING: Final = Gauge("unlatch_telemetry_waiting", "Heartbeats that wait to be stored as telemetry.")
UNLOCK_SECONDS: Final = Histogram(
    "unlatch_unlock_seconds",
    "From the request for a session to the outcome of its unlock.",
    ["outcome"],
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 30),
)
REQUEST_SECONDS: Final = Histogram(
    "unlatch_http_request_seconds",
    "Time to answer a request, waiting included.",
    ["method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
