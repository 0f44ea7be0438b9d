"""What the API shows of telemetry."""

from __future__ import annotations

from typing import Final, Self

from pydantic import BaseModel, Field

from session_service.clock import rfc3339
from session_service.telemetry.charts import Bucket, Chart, Resolution
from session_service.telemetry.service import Kept

DECIMALS: Final = 2  # of a mean; the senses have none or one


class GaugeOut(BaseModel):
    """A measure by point: the least, the most and the mean; ``null`` where no heartbeat carried it."""

    min: list[float | None]
    max: list[float | None]
    mean: list[float | None]

    @classmethod
    def of(cls, buckets: list[Bucket], name: str, *, count: str, scale: int = 1) -> Self:
        """Return the gauge ``name`` in its own unit, of which the rows have ``scale`` parts."""

        def scaled(value: int | None) -> float | None:
            return None if value is None else value / scale

        return cls(
            min=[scaled(bucket[f"{name}_min"]) for bucket in buckets],
            max=[scaled(bucket[f"{name}_max"]) for bucket in buckets],
            mean=[
                round(int(bucket[f"{name}_sum"]) / bucket[count] / scale, DECIMALS) if bucket[count] else None
                for bucket in buckets
            ],
        )


class TelemetryOut(BaseModel):
    """A device's telemetry, a list a measure: the n-th of each is of the n-th point. Silent points are left out."""

    device_id: str
    resolution: Resolution = Field(description="what it is made of: single heartbeats, minutes or hours")
    point_s: int = Field(description="how long a point is")
    start: str | None = Field(description="of the first point there could be")
    end: str | None
    last_heartbeat: str | None = Field(description="when the device was last heard of at all")
    age_ms: int | None = Field(description="how long ago that was")
    at_s: list[int] = Field(description="when each point begins, in seconds of Unix time")
    heartbeats: list[int]
    battery_percent: GaugeOut
    signal_dbm: GaugeOut
    temperature_c: GaugeOut
    outbox_depth: GaugeOut
    uptime_s: list[int] = Field(description="since the device's boot, at the newest heartbeat of the point")
    reconnects: list[int] = Field(description="connections that it has made anew, as the broker says")
    boots: list[int]
    raw_kept_days: int = Field(description="how long single heartbeats are kept")
    minutes_kept_days: int = Field(description="how long minutes are kept; hours are for good")

    @classmethod
    def of(cls, device_id: str, chart: Chart, kept: Kept, seen_at_ms: int | None, now_ms: int) -> Self:
        """Return what is shown of a chart."""
        found, span = chart.buckets, chart.range
        return cls(
            device_id=device_id,
            resolution=chart.resolution,
            point_s=span.bucket_s,
            start=rfc3339(span.start_s * 1_000),
            end=rfc3339(span.end_s * 1_000),
            last_heartbeat=rfc3339(seen_at_ms),
            age_ms=None if seen_at_ms is None else max(0, now_ms - seen_at_ms),
            at_s=[span.start_s + bucket["bucket"] * span.bucket_s for bucket in found],
            heartbeats=[bucket["beats"] for bucket in found],
            battery_percent=GaugeOut.of(found, "battery", count="battery_n"),
            signal_dbm=GaugeOut.of(found, "signal_dbm", count="signal_dbm_n"),
            temperature_c=GaugeOut.of(found, "temperature_tenths", count="temperature_tenths_n", scale=10),
            outbox_depth=GaugeOut.of(found, "outbox", count="beats"),
            uptime_s=[bucket["uptime_last_s"] for bucket in found],
            reconnects=[bucket["reconnects"] for bucket in found],
            boots=[bucket["boots"] for bucket in found],
            raw_kept_days=kept.raw_days,
            minutes_kept_days=kept.minutes_days,
        )
