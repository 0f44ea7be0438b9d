"""Traces: one Start is one trace, from the request through the command to the report, and says nothing of anybody."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import ReadableSpan

import session_service
from broker.mosquitto.ports import LOOPBACK, free_port
from broker.mosquitto.supervisor import Mosquitto
from session_service import metrics
from session_service.app import create_app
from session_service.database import open_database
from session_service.errors import SetupError
from session_service.secrets import make_secrets
from session_service.settings import load_settings
from session_service.tracing.opening import Parts, parts_of
from session_service.tracing.parts import TracedDatabase
from session_service.tracing.traces import Traces, exemplar_of_now, is_going, now
from tests.support.collector import Collector, collector
from tests.support.world import SOMEWHERE, World, world

NOBODY: Final = f"http://{LOOPBACK}:9"  # the port of a service that throws all away, which nobody runs
STARTS: Final = "POST /v1/sessions"


def of(spans: list[Span], name: str) -> Span:
    """Return the one span of that name."""
    [found] = [span for span in spans if span.name == name]
    return found


def facts(span: Span) -> dict[str, str | int]:
    return {it.key: it.value.string_value or it.value.int_value for it in span.attributes}


def path_to_root(spans: list[Span], span: Span) -> list[str]:
    by_id = {it.span_id: it for it in spans}
    names = [span.name]
    while span.parent_span_id:
        span = by_id[span.parent_span_id]
        names.append(span.name)
    return names


def lies_within(span: Span, spans: list[Span]) -> bool:
    """Return whether a span begins while its parent goes on, or is the report that its parent led to."""
    [parent] = [it for it in spans if it.span_id == span.parent_span_id]
    begins = parent.start_time_unix_nano <= span.start_time_unix_nano
    return begins and (span.kind == Span.SPAN_KIND_CONSUMER or span.end_time_unix_nano <= parent.end_time_unix_nano)


@pytest.mark.server
async def test_one_start_is_one_trace_with_its_parts_nested_and_in_order(
    own_mosquitto: Mosquitto, database_url: str, tmp_path: Path
) -> None:
    with collector() as there:
        async with world(own_mosquitto, database_url, tmp_path, otlp_endpoint=there.endpoint) as made:
            session, command, secrets = await one_start(made)
            figures = (await made.client.get("/metrics", headers={"Accept": "application/openmetrics-text"})).text
        spans = trace_of(there, STARTS)

    assert there.paths == {"/v1/traces"}
    root, publish = of(spans, STARTS), of(spans, "publish unlock")
    unit = of([span for span in spans if span.parent_span_id == root.span_id and span.name == "write"], "write")
    done = [span for span in spans if span.name == "report command"][-1]  # it may say first that it has accepted
    [stored] = [span for span in spans if span.parent_span_id == done.span_id]
    [answer] = root.events
    assert all(lies_within(span, spans) for span in spans if span.parent_span_id)
    assert path_to_root(spans, stored) == ["write", "report command", "publish unlock", STARTS]
    in_order = [
        root.start_time_unix_nano,
        unit.start_time_unix_nano,
        unit.end_time_unix_nano,
        publish.start_time_unix_nano,
        done.start_time_unix_nano,
        stored.start_time_unix_nano,
        stored.end_time_unix_nano,
        done.end_time_unix_nano,
        answer.time_unix_nano,
        root.end_time_unix_nano,
    ]
    assert in_order == sorted(in_order)
    assert facts(root) == {
        "http.request.method": "POST",
        "http.route": "/v1/sessions",
        "http.response.status_code": 201,
    }
    assert facts(unit) == {"unlatch.work": "Asking._start_once"}
    assert facts(publish)["unlatch.command_id"] == command
    assert facts(done) == {
        "messaging.system": "mqtt",
        "unlatch.command_id": command,
        "unlatch.report": "command",
        "unlatch.verdict": "stored",
    }
    for secret in (*secrets, session):
        assert secret not in there.wire()
    [exemplar] = [line for line in figures.splitlines() if f'command_id="{command}"' in line and "done" in line]
    assert f'trace_id="{root.trace_id.hex()}"' in exemplar
    unlock = [line for line in figures.splitlines() if line.startswith("unlatch_unlock_seconds_bucket") and "#" in line]
    assert any(f'trace_id="{root.trace_id.hex()}"' in line for line in unlock)


async def one_start(made: World) -> tuple[str, str, list[str]]:
    """Start; return the session, its command, and what no trace may say."""
    bike, rider = await made.device(), await made.rider()
    label = bike.device.label
    session = (await rider.start(label)).json()["id"]
    await made.client.get(label[label.index("/L/") :])
    command = await made.scalar(f"SELECT command_id FROM session WHERE id = '{session}'")  # noqa: S608
    rider_id = await made.scalar("SELECT rider_id FROM session")
    label_text = label.rpartition("/L/")[2]
    token = rider.headers["Authorization"].split()[1]
    return session, command, [rider_id, label_text, token, bike.device.id, str(SOMEWHERE.lat), str(SOMEWHERE.lon)]


def trace_of(there: Collector, name: str) -> list[Span]:
    root = of(there.spans, name)
    return [span for span in there.spans if span.trace_id == root.trace_id]


@pytest.mark.server
async def test_a_collector_that_is_not_there_costs_one_line(
    own_mosquitto: Mosquitto, sqlite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lost = metrics.SPANS.labels("lost")._value.get()
    caplog.set_level(logging.INFO)
    nobody = f"http://{LOOPBACK}:{free_port()}"
    async with world(own_mosquitto, sqlite_url, tmp_path, otlp_endpoint=nobody) as made:
        bike, rider = await made.device(), await made.rider()
        began = asyncio.get_running_loop().time()
        assert (await rider.start(bike.device.label)).status_code == 201
        took_s = asyncio.get_running_loop().time() - began
    assert took_s < 2
    said = [record.getMessage() for record in caplog.records if "collector" in record.message or "otlp" in record.name]
    assert said == [f"traces not taken by the collector at {nobody}, not asked again for 30 s"]
    assert metrics.SPANS.labels("lost")._value.get() > lost


@pytest.fixture
def traces() -> Iterator[Traces]:
    made = Traces(NOBODY, 1.0, "testville")
    yield made
    made.close()


def test_what_failed_is_named_by_its_class_and_not_by_its_words(traces: Traces) -> None:
    msg = "the label AB12 is torn"
    with pytest.raises(ValueError, match="AB12"), traces.span("write", {}) as span:
        raise ValueError(msg)
    assert isinstance(span, ReadableSpan)
    assert not span.events
    assert span.status.description == "ValueError"


async def test_a_unit_that_the_task_of_another_request_runs_is_its_own_requests(
    traces: Traces, sqlite_url: str
) -> None:
    database = TracedDatabase(open_database(sqlite_url), traces)

    async def ask() -> tuple[bool, bool]:
        with traces.request("POST") as span:
            seen = await database.write(lambda _: now().get_span_context().trace_id)
        return seen == span.get_span_context().trace_id, is_going()

    assert await asyncio.gather(*[ask() for _ in range(3)]) == [(True, False)] * 3
    assert not await database.write(lambda _: is_going())  # of no request: the sweeper's
    await database.close()


def test_a_command_that_is_sent_again_stays_in_its_trace_and_few_are_remembered(
    traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("session_service.tracing.traces.COMMANDS_KEPT", 2)
    with traces.request("POST") as root, traces.publishing("first", "unlock"):
        pass
    with traces.publishing("first", "unlock"):
        assert now().get_span_context().trace_id == root.get_span_context().trace_id
    for name in ("second", "third"):
        with traces.publishing(name, "lock"):
            pass
    with traces.reporting("command", "first") as late:
        assert late.get_span_context().trace_id != root.get_span_context().trace_id


def test_a_request_that_is_not_sampled_has_no_part_that_is() -> None:
    few = Traces(NOBODY, 1e-9, "testville")
    try:
        with few.request("POST") as root, few.publishing("first", "unlock"):
            assert not root.is_recording()
        with few.reporting("command", "first") as report:
            assert not report.is_recording()
        assert exemplar_of_now() is None
    finally:
        few.close()


def test_without_a_collector_the_parts_are_the_plain_ones() -> None:
    assert parts_of(load_settings()) == Parts()


def test_only_what_is_loaded_when_it_is_asked_for_needs_opentelemetry() -> None:
    service = Path(session_service.__file__).parent
    needs = re.compile(r"^(from|import) opentelemetry", re.MULTILINE)
    needy = [path for path in service.rglob("*.py") if needs.search(path.read_text())]
    assert {path.relative_to(service).as_posix() for path in needy} == {
        "tracing/parts.py",
        "tracing/sending.py",
        "tracing/traces.py",
    }
    asked = re.compile(r"^from session_service\.tracing(?!\.opening)", re.MULTILINE)
    assert not [path for path in service.rglob("*.py") if path not in needy and asked.search(path.read_text())]


def test_the_frameworks_own_traces_are_off_whatever_is_set_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    make_secrets(tmp_path)
    config = create_app(load_settings(secrets_dir=tmp_path))._telemetry
    assert not any(config[part] for part in ("tracing", "metrics", "logs", "auto_configure"))


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("session_service.tracing.")]:
        if name != "session_service.tracing.opening":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(SetupError, match=r"pip install 'unlatch\[trace\]'"):
        parts_of(load_settings(otlp_endpoint=NOBODY))
