"""What Prometheus and Grafana are given fits what the service measures."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast

import httpx
import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are another package

from broker.mosquitto.ports import LOOPBACK, free_port
from broker.mosquitto.supervisor import Mosquitto
from docs.monitoring_page import PAGE, name_of, ours, series, with_table
from tests.support.world import until, world

ROOT: Final = Path(__file__).parents[2]
MONITORING: Final = ROOT / "deploy/monitoring"
RULES: Final = MONITORING / "rules.yml"
DASHBOARD: Final = MONITORING / "grafana-dashboard.json"
METRIC: Final = re.compile(r"\bunlatch_[a-z0-9_]+")
RECORDED: Final = re.compile(r"\bunlatch:[a-z0-9_:]+")
PROMTOOL: Final = shutil.which("promtool")
PROMETHEUS: Final = shutil.which("prometheus")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is missing: apt-get install prometheus")
needs_prometheus = pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is missing: apt-get install prometheus")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return cast("list[dict[str, Any]]", json.loads(DASHBOARD.read_text())["panels"])


def queries() -> Iterator[str]:
    """Give every query of rules and dashboard, in the words of promtool."""
    yield from (rule["expr"] for rule in rules())
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "1m").replace("$job", "unlatch")


def anchors(page: str) -> set[str]:
    """Return the anchors of a page's headings, as they are made of their words."""
    words = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in words}


def test_every_metric_that_a_query_names_is_the_services_own() -> None:
    named = {name for query in queries() for name in METRIC.findall(query)}
    assert len(named) > 10
    assert named <= series(), named - series()


def test_every_metric_has_a_panel_or_is_recorded_for_one() -> None:
    named = {name for query in queries() for name in METRIC.findall(query)}
    unseen = {metric for metric in map(name_of, ours()) if not any(name.startswith(metric) for name in named)}
    assert not unseen


def test_every_recorded_figure_that_a_query_names_is_recorded() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert {name for query in queries() for name in RECORDED.findall(query)} <= recorded


def test_every_label_that_a_query_names_is_one_of_its_metric() -> None:
    known = {label for metric in ours() for label in metric._labelnames} | {"le", "job", "instance"}
    for query in queries():
        for inside in re.findall(r"\{([^}]*)\}", query):
            assert set(re.findall(r"(\w+)\s*(?:=~|!=|=|!~)", inside)) <= known, query


def test_every_alert_says_what_to_do_and_where_to_read_on() -> None:
    known = anchors((ROOT / "deploy/README.md").read_text())
    alerts = [rule for rule in rules() if "alert" in rule]
    assert alerts
    for alert in alerts:
        said = alert["annotations"]
        assert set(said) == {"summary", "action", "runbook"}, alert["alert"]
        page, _, anchor = said["runbook"].partition("#")
        assert page == "deploy/README.md"
        assert anchor in known, alert["alert"]
        assert alert["labels"]["severity"] in {"critical", "major", "minor"}


def test_the_page_is_as_new_as_the_metrics() -> None:
    assert PAGE.read_text() == with_table(PAGE.read_text()), "docs/monitoring.md is old: run `make docs`"


def test_panels_have_ids_and_places_of_their_own_and_the_data_source_of_the_variable() -> None:
    board = json.loads(DASHBOARD.read_text())
    assert [it["name"] for it in board["templating"]["list"] if it["type"] == "datasource"] == ["datasource"]
    assert len({panel["id"] for panel in panels()}) == len(panels())
    covered: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & covered, panel["title"]
        assert max(x for x, _ in cells) < 24, panel["title"]
        covered |= cells
        for part in (panel, *panel["targets"]):
            assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


async def run(*command: str | Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said
    return said


@needs_promtool
@pytest.mark.server
async def test_promtool_takes_the_configuration_and_the_rules_and_their_tests_pass() -> None:
    await run(str(PROMTOOL), "check", "config", MONITORING / "prometheus.yml")
    await run(str(PROMTOOL), "check", "rules", RULES)
    await run(str(PROMTOOL), "test", "rules", MONITORING / "rules_test.yml")


@needs_promtool
@pytest.mark.server
async def test_promtool_understands_every_query_of_the_dashboard(tmp_path: Path) -> None:
    made = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries())]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": made}]}))
    await run(str(PROMTOOL), "check", "rules", file)


@pytest.mark.server
async def test_exemplars_name_a_command_and_nobody_else(
    own_mosquitto: Mosquitto, sqlite_url: str, tmp_path: Path
) -> None:
    async with world(own_mosquitto, sqlite_url, tmp_path) as made:
        bike, rider = await made.device(), await made.rider()
        session = (await rider.start(bike.device.label)).json()
        command = await made.scalar(f"SELECT command_id FROM session WHERE id = '{session['id']}'")  # noqa: S608
        said = (await made.client.get("/metrics", headers={"Accept": "application/openmetrics-text"})).text

    assert f'# {{command_id="{command}"}}' in said
    assert said.endswith("# EOF\n")
    assert session["id"] not in said
    assert bike.device.id not in said


def figures(text: str) -> dict[str, float]:
    """Return each series and its value."""
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}


@pytest.mark.server
async def test_a_ride_a_repetition_and_a_refusal_are_counted(
    own_mosquitto: Mosquitto, sqlite_url: str, tmp_path: Path
) -> None:
    async with world(own_mosquitto, sqlite_url, tmp_path) as made:
        bike, rider, poor = await made.device(), await made.rider(), await made.rider(funds_minor=0)
        before = figures((await made.client.get("/metrics")).text)
        assert (await poor.start(bike.device.label)).status_code == 402
        session = (await rider.start(bike.device.label, key="the-same-key-twice")).json()
        await rider.start(bike.device.label, key="the-same-key-twice")
        await rider.finish(session["id"])
        after = figures((await made.client.get("/metrics")).text)

    counted = {name: value - before.get(name, 0) for name, value in after.items()}
    assert counted['unlatch_starts_total{state="active"}'] == 1
    assert counted['unlatch_starts_total{state="refused"}'] == 1
    assert counted["unlatch_idempotency_replays_total"] == 1
    assert counted['unlatch_session_moves_total{event="unlocked"}'] == 1
    assert counted['unlatch_session_moves_total{event="finish_pressed"}'] == 1
    assert counted['unlatch_commands_sent_total{result="sent"}'] == 2
    assert counted['unlatch_command_seconds_count{action="unlock",result="done"}'] == 1
    assert counted["unlatch_write_seconds_count"] >= 3
    assert counted['unlatch_report_age_seconds_count{kind="command"}'] >= 2
    assert after["unlatch_certificate_expires_seconds"] > 1e9
    assert after["unlatch_writes_waiting"] == 0


@needs_prometheus
@pytest.mark.server
async def test_a_real_prometheus_reads_a_real_service_and_evaluates_every_rule(
    own_mosquitto: Mosquitto, sqlite_url: str, tmp_path: Path
) -> None:
    async with world(own_mosquitto, sqlite_url, tmp_path) as made:
        bike, rider = await made.device(), await made.rider()
        await rider.start(bike.device.label)
        (tmp_path / "rules.yml").write_text(RULES.read_text().replace("interval: 15s", "interval: 1s"))
        config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["scrape_configs"][0]["static_configs"] = [{"targets": [made.url.removeprefix("http://")]}]
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
        groups = await evaluated(tmp_path)

    found = [rule for group in groups for rule in group["rules"]]
    assert len(found) == len(rules())
    assert {rule["health"] for rule in found} == {"ok"}, [rule.get("lastError") for rule in found]
    firing = {rule["name"] for rule in found if rule.get("state") == "firing"}
    assert not firing


async def evaluated(folder: Path) -> list[dict[str, Any]]:
    """Run Prometheus until it has read the service and evaluated its rules; return its groups of them."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        str(PROMETHEUS),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={LOOPBACK}:{port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}") as client:
            await until(lambda: has_samples(client), lambda there: there)
            return await until(lambda: groups_of(client), lambda groups: all(map(is_evaluated, groups)))
    finally:
        process.terminate()
        await process.wait()


async def has_samples(client: httpx.AsyncClient) -> bool:
    try:
        answer = await client.get("/api/v1/query", params={"query": "unlatch_broker_connected"})
    except httpx.TransportError:
        return False
    return answer.is_success and bool(answer.json()["data"]["result"])


async def groups_of(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = (await client.get("/api/v1/rules")).json()["data"]["groups"]
    return groups


def is_evaluated(group: dict[str, Any]) -> bool:
    return all(rule["health"] != "unknown" for rule in group["rules"])
