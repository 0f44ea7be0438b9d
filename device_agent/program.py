"""Puts the program together from its settings: the only place that knows which part implements which port."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

from device_agent.clock import SystemClock
from device_agent.device import Device, Ports
from device_agent.drivers.loading import Wanted, load
from device_agent.errors import AgentError, JournalError, SettingsError, WiringError
from device_agent.inbox import Inbox
from device_agent.journal import SqliteJournal
from device_agent.keys import KeySigner, load_command_keys, open_report_key
from device_agent.link import Address, MqttLink
from device_agent.ports import Clock, LockDriver, Vitals
from device_agent.renewal import RenewalWatch, Renewing
from device_agent.runner import Runner
from device_agent.settings import LoadedSettings
from device_agent.systemd import Manager
from device_agent.toml_lines import with_line
from device_agent.vitals import LinuxVitals

logger = logging.getLogger(__name__)


def run(settings: LoadedSettings) -> None:
    """Be the agent until SIGTERM or SIGINT.

    Raises:
        AgentError: it cannot start; the text says why and what to do.
    """
    state_dir = settings.path(settings.values.state_dir)
    make_state_dir(state_dir)
    journal = SqliteJournal(settings.journal_file, settings.values.journal.synchronous, own_room=True)
    try:  # the only one of its journal: what else it uses is its own too, so nothing is opened before
        _work(settings, journal)
    finally:
        journal.close()


def release(settings: LoadedSettings) -> None:
    """Switch all of the lock's outputs off; for when the agent has died and the kernel has left them as they were.

    Raises:
        DriverError: the driver or its pins cannot be had.
    """
    make_driver(settings, SystemClock(settings.values.boot_id)).close()


def make_driver(settings: LoadedSettings, clock: Clock) -> LockDriver:
    """Return the lock driver that the settings name, with the senses that they name.

    Raises:
        SettingsError: there is none of that name, or its options are wrong; with the line.
        DriverError: its pins cannot be had.
    """
    lock = settings.values.lock
    wanted = Wanted(
        clock=clock,
        kind=lock.kind,
        options=lock.options,
        state_dir=settings.path(settings.values.state_dir),
        max_drive_ms=lock.max_drive_ms,
    )
    try:
        return _with_senses(load(lock.driver, wanted), settings, clock)
    except WiringError as error:
        text = settings.file.read_text(encoding="utf-8")
        raise SettingsError(settings.file, with_line(text, str(error))) from error


def make_vitals(driver: LockDriver, settings: LoadedSettings) -> Callable[[], Vitals]:
    """Return what reads the device's signal and temperature: its senses, and what every Linux tells."""
    if settings.senses is None:
        return LinuxVitals()
    from device_agent.senses.body import SensedLock  # noqa: PLC0415 - as below

    return partial(driver.vitals, LinuxVitals()) if isinstance(driver, SensedLock) else LinuxVitals()


def _with_senses(lock: LockDriver, settings: LoadedSettings, clock: Clock) -> LockDriver:
    if settings.senses is None:
        return lock
    from device_agent.senses.loading import World, sensed  # noqa: PLC0415 - memory for those who have senses

    time_of_day = SystemClock(settings.values.boot_id).time_of_day
    return sensed(lock, settings.senses, World(clock=clock, time_of_day=time_of_day, path=settings.path))


def make_address(settings: LoadedSettings) -> Address:
    """Return how to reach the broker."""
    broker = settings.values.broker
    return Address(
        host=broker.host,
        port=broker.port,
        device=settings.values.device,
        keepalive_s=broker.keepalive_s,
        ca_file=None if broker.ca_file is None else settings.path(broker.ca_file),
        identity=settings.identity,
    )


def make_state_dir(state_dir: Path) -> None:
    """Make the directory for the journal, for this user only.

    Raises:
        AgentError: it cannot be made.
    """
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        msg = f"{state_dir}: cannot make the state directory ({error}); make it, or change state_dir"
        raise AgentError(msg) from error


def _work(settings: LoadedSettings, journal: SqliteJournal) -> None:
    values = settings.values
    clock, inbox = SystemClock(values.boot_id), Inbox()
    _count_start(journal, clock.boot_id)
    driver = make_driver(settings, clock)
    driver.listen(inbox.post)
    signer = KeySigner(open_report_key(settings))
    find_key = load_command_keys([settings.path(name) for name in values.command_key_files]).get
    link = MqttLink(make_address(settings), clock.boot_id, inbox.post, clock.known_unix_s)
    try:
        ports = Ports(
            clock=clock,
            driver=driver,
            journal=journal,
            link=link,
            signer=signer,
            vitals=make_vitals(driver, settings),
            restart=lambda: runner.when_at_rest(runner.stop),  # an order may have come while the outcome was written
        )
        device = Device(values.device, find_key, ports, settings.limits, config_revision=values.config_revision)
        runner = Runner(device, inbox, clock, Manager())
        _stop_on_signals(runner)
        _stop_with_any_thread(runner)
        logger.info("agent runs device=%s boot_id=%s key_id=%s", values.device, clock.boot_id, signer.key_id)
        link.start()
        with _renewing(settings, runner, link):
            runner.run()
        if runner.failed:
            msg = "a thread of the agent died, see the log; start the agent again"
            raise AgentError(msg)
        journal.ends_well()
    finally:
        driver.close()
        link.close()


def _count_start(journal: SqliteJournal, boot_id: str) -> None:
    try:
        refused = journal.begins_start(boot_id)
    except JournalError as error:  # a full card: what is on trial can wait, the lock cannot
        logger.warning("start not counted error=%s", error)
        return
    if refused is not None:
        logger.error("configuration given up, the agent did not come back with it revision=%d", refused)


@contextmanager
def _renewing(settings: LoadedSettings, runner: Runner, link: MqttLink) -> Iterator[None]:
    """Look after the certificate meanwhile, if there is one and a service that renews it."""
    identity, service = settings.identity, settings.values.service
    if identity is None or service is None:
        yield
        return
    watch = RenewalWatch(
        Renewing(
            settings_file=settings.file,
            identity=identity,
            interval_s=service.check_interval_s,
            when_renewed=lambda: runner.when_at_rest(link.reconnect),
        )
    )
    watch.start()
    try:
        yield
    finally:
        watch.close()


def _stop_on_signals(runner: Runner) -> None:
    def stop(signal_number: int, _frame: FrameType | None) -> None:
        logger.info("agent stops signal=%d", signal_number)
        runner.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def _stop_with_any_thread(runner: Runner) -> None:
    """A thread that dies leaves a program that only looks alive; end it, so that the service manager starts it anew."""

    def stop(died: threading.ExceptHookArgs) -> None:
        logger.critical("agent stops, a thread died error=%r", died.exc_value)
        runner.fail()

    threading.excepthook = stop
