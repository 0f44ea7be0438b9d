"""The whole program as a process, against a real Mosquitto: killed, frozen, doubled, told nonsense (DESIGN 3)."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import msgspec
import pytest

from broker.contract.codes import Action, Bolt, Reason, Result
from broker.contract.messages import BootReport
from broker.mosquitto.supervisor import Mosquitto
from device_agent.journal_view import JournalView
from tests.support.agent_program import Program
from tests.support.agent_service import HeardService
from tests.support.agent_world import DEVICE

pytestmark = pytest.mark.server


def test_an_order_is_carried_out_once_however_often_it_comes(program: Program, service: HeardService) -> None:
    program.start()
    command = service.command("command-000001")
    for _ in range(3):  # while it is worked on a repeat gets no answer of its own
        service.send(command)
    assert service.outcome(command.id).result is Result.DONE
    for _ in range(4):
        service.send(command)
    service.wait_until(lambda: len([r for r in service.reports if r.seq == 2]) >= 5)
    assert len(set(service.tokens)) == len({report.seq for report in service.reports})
    assert [movement.command_id for movement in program.movements()] == [command.id]
    assert program.end() == 0


def test_a_frozen_device_refuses_what_came_too_late(program: Program, service: HeardService) -> None:
    program.start()
    command = service.command("command-000001", ttl_ms=300)
    program.freeze()
    service.send(command)
    time.sleep(0.5)  # the deadline has to pass in the device's own time
    program.thaw()
    assert service.outcome(command.id).result is Result.EXPIRED
    assert program.movements() == []


def test_a_rebooted_device_refuses_what_was_meant_for_its_former_boot(program: Program, service: HeardService) -> None:
    program.start()
    command = service.command("command-000001", ttl_ms=60_000)
    program.end(signal.SIGKILL)
    program.configure(boot_id="boot-000002")
    program.start()
    service.wait_until(lambda: service.heartbeats[-1].boot_id == "boot-000002")
    service.send(command)
    assert service.outcome(command.id).reason is Reason.STALE_BOOT
    assert program.movements() == []


def test_killed_in_the_middle_of_a_movement_it_says_interrupted_and_drives_nothing(
    program: Program, service: HeardService
) -> None:
    program.configure(movement_ms=4_000)
    program.start()
    command = service.command("command-000001")
    service.send(command)
    service.wait_until(lambda: len(service.reports) > 1)  # accepted: the motor runs
    program.end(signal.SIGKILL)
    program.start()
    outcome = service.outcome(command.id)
    assert (outcome.result, outcome.reason, outcome.moved) == (Result.DONE, Reason.INTERRUPTED, True)
    assert [movement.bolt for movement in program.movements()] == [Bolt.OPEN]


def test_reports_wait_through_the_brokers_death_and_arrive_in_order(
    program: Program, service: HeardService, own_mosquitto: Mosquitto
) -> None:
    program.start()
    service.send(service.command("command-000001"))
    service.outcome("command-000001")
    service.ack()
    own_mosquitto.kill()
    program.end()
    program.start()  # its boot is reported while there is no broker
    own_mosquitto.start()
    returned = HeardService(own_mosquitto, DEVICE)
    try:
        returned.wait_until(lambda: bool(returned.reports) and returned.reports[-1].seq == 3)
    finally:
        returned.close()
    numbers = [report.seq for report in returned.reports]
    assert numbers == sorted(numbers)
    assert isinstance(returned.reports[-1].body, BootReport)


def test_at_rest_it_uses_no_processor_and_little_memory(program: Program, service: HeardService) -> None:
    program.start()
    for number in range(20):
        service.send(service.command(f"command-{number:06d}", [Action.UNLOCK, Action.LOCK][number % 2]))
        service.outcome(f"command-{number:06d}")
        service.ack()
    before = program.cpu_ticks()
    time.sleep(2)
    # Ten heartbeats in that time, each signed; a loop that spins would use 200 ticks.
    assert program.cpu_ticks() - before <= 10
    assert program.process is not None
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    # Measured with Python 3.11 and PyPI's wheels: 39.8 MiB, half of it shared pages of libraries.
    assert int(status.split("VmRSS:")[1].split()[0]) <= 40 * 1024
    assert int(status.split("RssAnon:")[1].split()[0]) <= 22 * 1024


def test_a_second_agent_on_the_same_journal_is_refused(program: Program, service: HeardService) -> None:
    program.start()
    service.heartbeat()
    second = program.ask("run")
    assert (second.returncode, "another agent" in second.stderr) == (1, True)


def test_selftest_says_what_is_there_and_what_is_not(program: Program, own_mosquitto: Mosquitto) -> None:
    good = program.ask("selftest")
    assert (good.returncode, good.stdout.count("ok  ")) == (0, 7), good
    own_mosquitto.stop()
    (program.directory / "report_key.pem").chmod(0o644)
    bad = program.ask("selftest")
    assert (bad.returncode, bad.stdout.count("FAIL")) == (1, 2), bad
    assert "chmod 600" in bad.stdout


def test_the_journal_is_shown_while_the_agent_runs(program: Program, service: HeardService) -> None:
    program.start()
    service.send(service.command("command-000001"))
    service.outcome("command-000001")
    view = msgspec.json.decode(program.ask("journal", "--json").stdout, type=JournalView)
    assert [row.result for row in view.commands] == [Result.DONE]
    assert [row.seq for row in view.reports] == [1, 2]
    assert "unlock done" in program.ask("journal").stdout


def test_without_a_journal_the_error_names_the_file(program: Program) -> None:
    answer = program.ask("journal")
    assert (answer.returncode, "journal.sqlite" in answer.stderr) == (1, True)
