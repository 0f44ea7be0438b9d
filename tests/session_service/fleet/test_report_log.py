"""The log of a device's reports, page by page, and what it was set up with: with a real device, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from broker.mosquitto.supervisor import Mosquitto
from session_service.fleet.report_log_repository import TOP, Place, before
from tests.support.world import World, until, world

pytestmark = pytest.mark.server

PLANT = text(
    "INSERT INTO report (journal_id, seq, device_id, boot_id, uptime_ms, kind, at_ms, received_at_ms, token) "
    "VALUES (:journal, :seq, :device, 'boot', 1, 'boot', 1, 1, 'x')"
)


@pytest.fixture
async def town(own_mosquitto: Mosquitto, database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(own_mosquitto, database_url, tmp_path) as made:
        yield made


async def shown(town: World, path: str) -> dict[str, Any]:
    answer = await town.ops("GET", path)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_every_report_is_on_one_page_each_under_the_key_that_signed_it(town: World) -> None:
    bike = await town.device()
    await town.until_heard_of(bike)
    path = f"/v1/ops/devices/{bike.device.id}/reports"
    for step in range(4):
        bike.do("move", {"lat": 48.3 + step / 100, "lon": 16.4})
        bike.reboot()
        await town.until_heard_of(bike)
    wanted = bike._journal.snapshot().last_seq
    await until(lambda: shown(town, f"{path}?limit=200"), lambda found: len(found["rows"]) == wanted)

    seen, place = [], ""
    while True:
        page = await shown(town, f"{path}?limit=2{place}")
        seen += page["rows"]
        if page["next_before"] is None:
            break
        place = f"&before={page['next_before']}"
    assert [row["seq"] for row in seen] == list(range(wanted, 0, -1))
    papers = await shown(town, f"/v1/ops/devices/{bike.device.id}/setup")
    assert {row["verdict"] for row in seen} == {"verified"}
    assert {row["key_id"] for row in seen} == {papers["report_key"]["key_id"]}
    assert all(row["said"]["agent_version"] for row in seen if row["kind"] == "boot")
    assert papers["reported"] == papers["wanted"]
    assert (papers["missing_keys"], papers["former_keys"]) == ([], [])
    assert (await town.ops("GET", f"{path}?before=yesterday")).status_code == 422


async def test_a_line_that_the_device_has_not_signed_says_so(town: World) -> None:
    bike = await town.device()
    await town.until_heard_of(bike)
    path = f"/v1/ops/devices/{bike.device.id}/reports?limit=1"
    real = (await until(lambda: shown(town, path), lambda found: bool(found["rows"])))["rows"][0]

    def plant(connection: Connection) -> None:
        columns = "seq, device_id, boot_id, uptime_ms, kind, command_id, at_ms, received_at_ms"
        for journal, changed in (
            ("a-made-up-journal", "token"),
            ("another-journal", "substr(token, 1, 300) || 'AAAA'"),
        ):
            connection.execute(
                text(
                    f"INSERT INTO report (journal_id, {columns}, token) SELECT '{journal}', {columns}, {changed} "  # noqa: S608
                    f"FROM report WHERE journal_id = '{real['journal_id']}' AND seq = {real['seq']}"
                )
            )

    await town.context.database.write(plant)
    lines = (await shown(town, path.replace("limit=1", "limit=10")))["rows"]
    verdicts = {row["journal_id"]: (row["verdict"], row["said"] != {}) for row in lines}
    assert verdicts["a-made-up-journal"] == ("wrong_place", True)
    assert verdicts["another-journal"] in {("bad_signature", False), ("malformed", False)}
    assert verdicts[real["journal_id"]] == ("verified", True)


async def test_reports_of_one_moment_are_told_apart_by_their_names(town: World) -> None:
    bike = await town.device()

    def plant(connection: Connection) -> list[tuple[str, int]]:
        for journal in ("journal-00a", "journal-00b"):
            for seq in range(1, 4):
                row = {"journal": journal, "seq": seq, "device": bike.device.id}
                connection.execute(PLANT, row)
        found: list[tuple[str, int]] = []
        place = TOP
        while rows := before(connection, bike.device.id, place, 2):
            found += [(row.journal_id, row.seq) for row in rows if row.received_at_ms == 1]
            place = Place(rows[-1].received_at_ms, rows[-1].journal_id, rows[-1].seq)
        return found

    found = await town.context.database.write(plant)
    assert found == [(journal, seq) for journal in ("journal-00b", "journal-00a") for seq in (3, 2, 1)]
