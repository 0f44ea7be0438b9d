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
CONNECTED: Final = Gauge("unlatch_broker_connected", "1 while the gateway is connected to the broker.")
BACKLOG: Final = Gauge("unlatch_gateway_backlog", "Messages that wait to be handled.")
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
