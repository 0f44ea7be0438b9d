"""``unlatch-agent selftest``: checks what the agent needs. Moves nothing, disturbs no running agent."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from device_agent import journal_view
from device_agent.certificates import life_of
from device_agent.clock import SystemClock
from device_agent.drivers.pins import lines_outlive_us
from device_agent.errors import AgentError, JournalInUseError
from device_agent.journal import SqliteJournal
from device_agent.keys import KeySigner, load_command_keys, open_report_key
from device_agent.link import tls_of
from device_agent.program import make_address, make_driver, make_state_dir
from device_agent.settings import LoadedSettings

CONNECT_TIMEOUT_S: Final = 5.0  # mobile networks answer within two
OUTLIVED: Final = (
    "were the agent to die, what is on would stay on until `release` has run: add dtparam=strict_gpiod to"
    " /boot/firmware/config.txt and boot again"
)
OBJECTION_S: Final = 1.0  # a broker refuses a certificate at once, that is one way through the network later


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; ``detail`` says what is there, or what to do."""

    name: str
    good: bool
    detail: str


def check_all(settings: LoadedSettings) -> list[Finding]:
    """Run all checks, also after one has failed."""
    checks: dict[str, Callable[[LoadedSettings], str]] = {
        "report key": _report_key,
        "command keys": _command_keys,
        "certificate": _certificate,
        "journal": _journal,
        "time": _time,
        "lock driver": _driver,
        "broker": _broker,
    }
    return [*(_find(name, check, settings) for name, check in checks.items()), *_senses(settings)]


def _find(name: str, check: Callable[[LoadedSettings], str], settings: LoadedSettings) -> Finding:
    try:
        return Finding(name, good=True, detail=check(settings))
    except (AgentError, OSError) as error:
        return Finding(name, good=False, detail=str(error))


def _report_key(settings: LoadedSettings) -> str:
    return f"key id {KeySigner(open_report_key(settings)).key_id}"


def _command_keys(settings: LoadedSettings) -> str:
    keys = load_command_keys([settings.path(name) for name in settings.values.command_key_files])
    return f"key ids {', '.join(keys)}"


def _certificate(settings: LoadedSettings) -> str:
    identity = settings.identity
    if identity is None:
        return "none: plain TCP, within this machine"
    life, now_s = life_of(identity.cert_file), SystemClock(settings.values.boot_id).unix_s()
    if life.plausible(now_s) and now_s >= life.ends_s:
        msg = f"{identity.cert_file}: the certificate has ended; run: unlatch-agent renew --config {settings.file}"
        raise AgentError(msg)
    return life.in_words(now_s)


def _journal(settings: LoadedSettings) -> str:
    make_state_dir(settings.path(settings.values.state_dir))
    try:
        journal = SqliteJournal(settings.journal_file, settings.values.journal.synchronous, own_room=True)
    except JournalInUseError:
        view = journal_view.read(settings.journal_file)
        return f"{view.journal_id}, newest report {view.last_seq}; the agent runs with it"
    try:
        snapshot = journal.snapshot()
    finally:
        journal.close()
    waiting = snapshot.last_seq - snapshot.acked_through
    return f"{snapshot.journal_id}, newest report {snapshot.last_seq}, {waiting} wait for an acknowledgement"


def _time(settings: LoadedSettings) -> str:
    from device_agent.senses.checks import in_words  # noqa: PLC0415 - as below

    return in_words(SystemClock(settings.values.boot_id).time_of_day())


def _senses(settings: LoadedSettings) -> list[Finding]:
    if settings.senses is None:
        return []
    from device_agent.senses.checks import ask_all  # noqa: PLC0415 - for devices that have senses
    from device_agent.senses.loading import World  # noqa: PLC0415

    clock = SystemClock(settings.values.boot_id)
    world = World(clock=clock, time_of_day=clock.time_of_day, path=settings.path)
    return [Finding(said.name, said.good, said.words) for said in ask_all(settings.senses, world)]


def _driver(settings: LoadedSettings) -> str:
    driver = make_driver(settings, SystemClock(settings.values.boot_id))
    try:
        said = f"bolt {driver.status().bolt}; can {', '.join(sorted(driver.actions))}"
        return f"{said}; {OUTLIVED}" if lines_outlive_us() and settings.values.lock.driver != "memory" else said
    finally:
        driver.close()


def _broker(settings: LoadedSettings) -> str:
    """Reach the broker without signing in: a second client with our id would throw a running agent out."""
    address = make_address(settings)
    place = f"{address.host}:{address.port}"
    try:
        with socket.create_connection((address.host, address.port), CONNECT_TIMEOUT_S) as plain:
            context = tls_of(address)
            return f"{place} answers" + ("" if context is None else _shake_hands(plain, context, address.host))
    except OSError as error:
        msg = f"{place}: {error}; check broker.host, broker.port, the certificates and the network"
        raise AgentError(msg) from error


def _shake_hands(plain: socket.socket, context: ssl.SSLContext, host: str) -> str:
    """With TLS 1.3 the handshake ends before the broker has looked at our certificate; its word comes after."""
    with context.wrap_socket(plain, server_hostname=host) as secured:
        secured.settimeout(OBJECTION_S)
        try:
            refused = not secured.recv(1)
        except TimeoutError:
            refused = False  # it waits for MQTT: it has nothing against us
        if refused:
            msg = "it closed the connection"
            raise ConnectionError(msg)
        return f" with {secured.version()}, and takes our certificate"
