"""What the device's clock is worth: kept by a time server, estimated, or unknown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from device_agent import kernel_time
from device_agent.clock import RTC_ERROR_S, TRUSTED_FOR_S, SystemClock, Trust


def clock(folder: Path) -> SystemClock:
    paths = {"timesync": folder / "timesync", "others": [folder / "chrony"], "rtc": folder / "hctosys"}
    return SystemClock("boot-of-the-test", **paths)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("age_s", "trust"),
    [(0, Trust.TRUSTED), (TRUSTED_FOR_S - 60, Trust.TRUSTED), (TRUSTED_FOR_S + 60, Trust.ESTIMATED)],
)
def test_timesyncd_is_trusted_for_some_hours(tmp_path: Path, age_s: int, trust: Trust) -> None:
    file = tmp_path / "timesync" / "synchronized"
    file.parent.mkdir()
    file.touch()
    tested = clock(tmp_path)
    os.utime(file, (0, tested.unix_s() - age_s))
    now = tested.time_of_day()
    assert now.trust is trust
    assert now.error_s is not None
    assert 1.0 <= now.error_s < 2.0
    assert (tested.known_unix_s() is not None) == (trust is Trust.TRUSTED)


def test_before_the_first_answer_of_a_server_the_time_is_unknown_or_that_of_a_battery(tmp_path: Path) -> None:
    (tmp_path / "timesync").mkdir()
    tested = clock(tmp_path)
    assert (tested.time_of_day().trust, tested.time_of_day().error_s) == (Trust.UNKNOWN, None)
    (tmp_path / "hctosys").write_text("0\n")
    assert tested.time_of_day().trust is Trust.UNKNOWN
    (tmp_path / "hctosys").write_text("1\n")
    assert (tested.time_of_day().trust, tested.time_of_day().error_s) == (Trust.ESTIMATED, RTC_ERROR_S)
    assert tested.known_unix_s() is None


@pytest.mark.parametrize("is_kept", [True, False])
def test_of_other_time_servers_the_kernel_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_kept: bool
) -> None:
    monkeypatch.setattr(kernel_time, "synchronized", lambda: is_kept)
    tested = clock(tmp_path)
    assert tested.time_of_day().trust is Trust.UNKNOWN
    (tmp_path / "chrony").mkdir()
    assert tested.time_of_day().trust is (Trust.TRUSTED if is_kept else Trust.UNKNOWN)


def test_the_kernel_answers() -> None:
    assert kernel_time.synchronized() in {True, False}
