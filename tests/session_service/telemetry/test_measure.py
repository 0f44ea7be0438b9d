"""The measurement runs, and what it says is what it did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from session_service.telemetry import measure


def test_a_small_city_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "ASKED", 1)
    monkeypatch.setattr(measure, "MINUTES_DAYS", 1)
    out = tmp_path / "telemetry.json"
    given = ["--database", f"sqlite:///{tmp_path}/new.db", "--devices", "20", "--minutes", "3", "--out", str(out)]
    assert measure.main(given) == 0
    result = json.loads(out.read_text())["sqlite"]
    assert result["heartbeats"] == 20 * 3 * 2
    assert result["rows"] == {
        "TelemetryRaw": 0,
        "TelemetryBeats": 20,
        "TelemetryMinute": 20,
        "TelemetryHour": 20,
    }
    assert result["bytes_as_rows"] > 0
    assert result["chart_ms"]["a day"]["points"] > 600
    assert result["chart_ms"]["a year"]["resolution"] == "hour"
