"""`unlatch check --evidence` after a real ride, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from broker.mosquitto.supervisor import Mosquitto
from session_service.cli import main
from tests.support.world import World, world

pytestmark = pytest.mark.server


@pytest.fixture
async def town(own_mosquitto: Mosquitto, database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(own_mosquitto, database_url, tmp_path) as made:
        yield made


async def ride(town: World) -> dict[str, Any]:
    """Ride far enough to pay, and return the receipt."""
    bike, rider = await town.device(), await town.rider()
    started = (await rider.start(bike.device.label)).json()
    bike.do("move", {"lat": 48.3, "lon": 16.5})
    bike.do("lock_by_hand", {})
    await rider.until(started["id"], "closed")
    receipt = await rider.get(f"/v1/sessions/{started['id']}/receipt")
    assert receipt["fare_minor"] > 0
    assert {seen["key_id"] for seen in receipt["evidence"]} == {bike._signer.key_id}
    return receipt


async def check(town: World) -> int:
    url = town.context.settings.database_url
    return await asyncio.to_thread(main, ["check", "--evidence", "--database", url])


def alter(connection: Connection) -> None:
    """Do what somebody with the database's password can do."""
    if connection.dialect.name == "sqlite":
        connection.execute(text("DROP TRIGGER report_no_update"))
    else:
        connection.execute(text("ALTER TABLE report DISABLE TRIGGER USER"))
    connection.execute(text("UPDATE report SET uptime_ms = uptime_ms + 1 WHERE kind = 'bolt'"))


async def test_a_ride_is_borne_out_until_somebody_alters_its_report(
    town: World, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("UNLATCH_CIVIL_SPEED", "UNLATCH_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    receipt = await ride(town)
    assert [seen["what"] for seen in receipt["evidence"]] == ["unlocked", "locked"]
    assert all(seen["received_at"] >= receipt["start_at"] for seen in receipt["evidence"])
    capfd.readouterr()
    assert await check(town) == 0
    assert "evidence: no violations (1 sessions, 1 of them charged" in capfd.readouterr().out
    await town.context.database.write(alter)
    assert await check(town) == 1
    said = capfd.readouterr().out
    assert f"session {receipt['session_id']}: locked" in said
    assert "evidence: 1 violations" in said
