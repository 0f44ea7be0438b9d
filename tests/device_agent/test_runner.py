"""The runner: wakes for events and for what is due, and at no other time."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from broker.contract.codes import Action
from broker.contract.topics import Channel
from device_agent.clock import FreshBootClock
from device_agent.core.events import LinkDown, LinkUp, MessageArrived
from device_agent.device import Device, Ports
from device_agent.drivers.memory import MemoryLock
from device_agent.inbox import Inbox
from device_agent.journal import SqliteJournal
from device_agent.runner import Runner
from device_agent.systemd import Manager
from tests.support.agent_service import signed
from tests.support.agent_world import COMMAND_KEYS, DEVICE, KeptLink, KeySigner, World

TIMEOUT_S = 20.0


def test_a_slow_lock_is_driven_by_the_clock_alone(tmp_path: Path) -> None:
    clock, inbox, link = FreshBootClock(), Inbox(), KeptLink()
    lock = MemoryLock(clock, movement_ms=30)
    lock.listen(inbox.post)
    journal = SqliteJournal(tmp_path / "journal")
    ports = Ports(clock=clock, driver=lock, journal=journal, link=link, signer=KeySigner())
    runner = Runner(Device(DEVICE, COMMAND_KEYS.get, ports), inbox, clock)
    command = World().command(Action.UNLOCK, boot_id=clock.boot_id, expires_uptime_ms=60_000)
    inbox.post(LinkUp())
    inbox.post(MessageArrived(channel=Channel.COMMAND, payload=signed(command)))
    done = threading.Event()
    publish = link.publish_report

    def publish_and_note(token: bytes) -> None:
        publish(token)
        if len(link.report_tokens) == 2:
            done.set()

    link.publish_report = publish_and_note  # type: ignore[method-assign]
    thread = threading.Thread(target=runner.run)
    thread.start()
    assert done.wait(TIMEOUT_S)
    runner.stop()
    thread.join(TIMEOUT_S)
    assert not thread.is_alive()
    journal.close()


def test_a_flood_of_messages_is_dropped_and_what_lock_and_link_say_is_not() -> None:
    inbox = Inbox(message_limit=3)
    message = MessageArrived(channel=Channel.COMMAND, payload=b"")
    for _ in range(5):
        inbox.post(message)
    inbox.post(LinkDown())
    assert [inbox.take(0) for _ in range(5)] == [message, message, message, LinkDown(), None]
    assert inbox.dropped == 2


def test_a_failure_ends_the_loop_and_is_remembered() -> None:
    world = World()
    runner = Runner(world.device, Inbox(), world.clock)
    runner.fail()
    runner.run()
    assert runner.failed


def test_a_chore_waits_until_the_lock_is_at_rest() -> None:
    world = World(movement_ms=800)
    inbox = Inbox()
    runner = Runner(world.device, inbox, world.clock)
    driving: list[bool] = []

    def chore() -> None:
        driving.append(world.device.agent.driving)
        runner.stop()

    world.link_up()
    world.send(world.command(Action.UNLOCK))
    assert world.device.agent.driving
    runner.when_at_rest(chore)
    thread = threading.Thread(target=runner.run)
    thread.start()
    inbox.post(LinkUp())
    time.sleep(0.1)  # the loop goes round, and the lock is still under way
    assert driving == []
    world.clock.now_ms += 800
    inbox.wake()
    thread.join(TIMEOUT_S)
    assert driving == [False]


def test_systemd_hears_from_the_loop_that_it_lives_and_nothing_while_the_loop_hangs(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(TIMEOUT_S)
        manager = Manager({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "100000"})
        assert manager.alive_every_ms == 50
        clock, inbox = FreshBootClock(), Inbox()
        lock, journal = MemoryLock(clock), SqliteJournal(tmp_path / "journal")
        ports = Ports(clock=clock, driver=lock, journal=journal, link=KeptLink(), signer=KeySigner())
        runner = Runner(Device(DEVICE, COMMAND_KEYS.get, ports), inbox, clock, manager)
        thread = threading.Thread(target=runner.run)
        thread.start()
        assert [systemd.recv(64) for _ in range(4)] == [b"READY=1", *[b"WATCHDOG=1"] * 3]
        hangs, goes_on = threading.Event(), threading.Event()

        def hang() -> None:
            hangs.set()
            goes_on.wait(TIMEOUT_S)

        runner.when_at_rest(hang)
        assert hangs.wait(TIMEOUT_S)
        systemd.settimeout(0)
        with suppress(BlockingIOError):
            while systemd.recv(64):
                pass
        time.sleep(0.3)
        with pytest.raises(BlockingIOError):
            systemd.recv(64)
        systemd.settimeout(TIMEOUT_S)
        goes_on.set()
        assert systemd.recv(64) == b"WATCHDOG=1"
        runner.stop()
        thread.join(TIMEOUT_S)
        while (last := systemd.recv(64)) == b"WATCHDOG=1":
            pass
        assert last == b"STOPPING=1"
        journal.close()


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "/nobody/listens"}, {"WATCHDOG_USEC": "100000"}])
def test_without_systemd_nothing_is_said(environ: dict[str, str]) -> None:
    manager = Manager(environ)
    assert manager.alive_every_ms is None
    manager.ready()


def test_the_watchdog_of_another_process_is_not_ours(tmp_path: Path) -> None:
    theirs = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}
    assert Manager(theirs).alive_every_ms is None
