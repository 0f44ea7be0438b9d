"""The core's bounds, each with its reason. A simulation may pass others; a device has no cause to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """All of them; times in milliseconds of uptime."""

    heartbeat_interval_ms: int = 30_000  # the service calls a device absent after three
    max_drive_ms: int = 5_000  # a motor lock needs 3 s; longer burns its winding
    drive_overrun_ms: int = 2_000  # then the driver itself is taken for broken
    accept_notice_ms: int = 250  # a lock that is faster needs no word in between
    settle_ms: int = 50  # reed contacts bounce for 1 to 20 ms
    moved_bound_m: float = 30.0  # satellite positions between houses err by so much
    moved_gap_ms: int = 30_000  # no faster than heartbeats, which carry the position too
    battery_low_percent: int = 15  # about a day of a bike's standby
    battery_well_percent: int = 20  # the fault comes once, not at every wobble around its limit

    window: int = 64  # reports on the way at once, 64 kB: a slow link is not flooded after a long silence
    resend_first_ms: int = 1_000  # the service answers within 100 ms; a busy one within a second
    resend_last_ms: int = 60_000  # a service that is down for hours gets one window a minute
    resend_least_ms: int = 200  # between two resends that acknowledgements ask for
    save_delay_ms: int = 5_000  # an acknowledgement, a new place or a low battery waits for company: the card wears
    save_retry_first_ms: int = 500  # a card that answers again after a hiccup
    save_retry_last_ms: int = 30_000  # a full card that somebody must clear

    telemetry_limit: int = 500  # unacknowledged reports; from here telemetry is dropped, counted, never numbered
    full_limit: int = 1_000  # from here unlocks are refused: a ride that cannot be proven must not begin
    notice_limit: int = 2_000  # from here what moved nothing is not written down either; evidence always is
    commands_kept: int = 256  # ids remembered; see ``guard.Guard.forget``
    tombstone_ms: int = 3_600_000  # a cancel holds for an order on its way that much longer; deadlines are seconds
    complaint_gap_ms: int = 60_000  # log lines about bad messages, a reason
