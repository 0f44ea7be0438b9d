"""One warning a device and minute."""

from __future__ import annotations

import pytest

from session_service.fleet.complaints import DEVICES_KEPT, SILENCE_MS, Complaints


class ManualClock:
    ms = 1_000_000

    def now_ms(self) -> int:
        return self.ms


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_device_is_complained_of_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    complaints = Complaints(clock)  # type: ignore[arg-type]

    for reason in ("first", "second"):
        complaints.warn("BIKE", "device=%s reason=%s", reason)
    clock.ms += SILENCE_MS - 1
    complaints.warn("BIKE", "device=%s reason=%s", "third")
    clock.ms += 1
    complaints.warn("BIKE", "device=%s reason=%s", "fourth")

    assert warned(caplog) == ["device=BIKE reason=first", "device=BIKE reason=fourth"]


def test_one_device_does_not_silence_another(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints(ManualClock())  # type: ignore[arg-type]

    for device in ("BIKE", "POD"):
        complaints.warn(device, "device=%s")

    assert warned(caplog) == ["device=BIKE", "device=POD"]


def test_as_many_devices_as_like_take_bounded_memory() -> None:
    complaints = Complaints(ManualClock())  # type: ignore[arg-type]

    for number in range(2 * DEVICES_KEPT):
        complaints.warn(str(number), "device=%s")

    assert len(complaints._warned_ms) <= DEVICES_KEPT
