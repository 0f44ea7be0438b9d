"""Whether it lives, whether it can serve, and its figures, also when something is away."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from broker.mosquitto.supervisor import Mosquitto
from tests.support.postgres import Postgres, migrated_template
from tests.support.world import World, until, world

pytestmark = pytest.mark.server


async def until_ready_says(made: World, status: int, text: str) -> httpx.Response:
    def good(answer: httpx.Response) -> bool:
        return answer.status_code == status and text in answer.text

    return await until(lambda: made.client.get("/readyz"), good)


async def test_without_the_broker_it_lives_and_says_what_is_missing_until_it_is_back(
    own_mosquitto: Mosquitto, sqlite_url: str, tmp_path: Path
) -> None:
    async with world(own_mosquitto, sqlite_url, tmp_path) as made:
        own_mosquitto.kill()

        missing = await until_ready_says(made, 503, "broker")
        assert "database" not in missing.text
        assert (await made.client.get("/healthz")).text == "ok"
        assert "unlatch_broker_connected 0.0" in (await made.client.get("/metrics")).text
        assert (await made.client.get("/v1/tariffs")).status_code == 200

        own_mosquitto.start()
        await until_ready_says(made, 200, "ready")


async def test_without_the_database_it_lives_and_says_what_is_missing(
    own_mosquitto: Mosquitto, postgres: Postgres, tmp_path: Path
) -> None:
    url = postgres.new_database(await asyncio.to_thread(migrated_template, postgres))
    async with world(own_mosquitto, url, tmp_path) as made:
        postgres.drop_database(url)

        missing = await until_ready_says(made, 503, "database")
        assert "broker" not in missing.text
        assert (await made.client.get("/healthz")).text == "ok"
        answer = await made.client.get("/v1/tariffs")
        assert answer.status_code == 503
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:unlatch:problem:service-unreachable"


async def test_figures_are_what_prometheus_reads_and_name_no_device_and_no_rider(
    own_mosquitto: Mosquitto, sqlite_url: str, tmp_path: Path
) -> None:
    async with world(own_mosquitto, sqlite_url, tmp_path) as made:
        bike = await made.device()
        rider = await made.rider()
        session = (await rider.start(bike.device.label)).json()
        await rider.session(session["id"])

        answer = await made.client.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    ours = {name for name in families if name.startswith("unlatch_")}
    assert {"unlatch_messages", "unlatch_messages_rejected", "unlatch_reports", "unlatch_http_request_seconds"} <= ours
    assert families["unlatch_broker_connected"].samples[0].value == 1
    for told in (bike.device.id, session["id"], session["label_id"]):
        assert told not in answer.text
