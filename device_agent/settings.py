"""The agent's settings: one TOML file. Relative paths are relative to it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from broker.contract.messages import Count, DeviceId, Id
from device_agent.core.limits import Limits
from device_agent.errors import SettingsError
from device_agent.identity import Identity
from device_agent.journal_file import Synchronous
from device_agent.toml_lines import in_words, with_line

if TYPE_CHECKING:
    from device_agent.senses.settings import SensesSettings

DEFAULTS: Final = Limits()

EXAMPLE: Final = """\
device = "0123456789"                     # ten characters of Crockford base32, as registered
state_dir = "/var/lib/unlatch-agent"      # the journal lives here
report_key_file = "report_key.pem"        # P-256, PKCS#8, mode 0600
# report_key_pkcs11 = "pkcs11:token=T;object=K?module-path=/usr/lib/module.so&pin-source=file:/etc/unlatch/pin"
command_key_files = ["command_key.pem"]   # Ed25519, public; later ones come in signed configurations

[broker]
host = "broker.example.org"
port = 8883
ca_file = "ca.pem"
cert_file = "device.pem"                  # its CN is the device id; renewed in its place
key_file = "device_key.pem"
# plain_tcp = true                        # instead of TLS, for a broker on this machine only

[service]                                 # where certificates are renewed
url = "https://unlatch.example.org"
# ca_file = "service_ca.pem"              # where the system does not know its authority

[lock]
driver = "memory"                         # or solenoid, motor, servo, strike: docs/drivers.md has each one's lines
kind = "bike"

# [senses.battery]                        # and temperature, signal, position, tamper, occupied, lamp, buzzer, display:
# source = "power_supply"                 # docs/senses.md has each one
"""

Port = Annotated[int, Meta(ge=1, le=65_535)]


class Kind(StrEnum):
    """What the lock is on."""

    BIKE = "bike"
    POD = "pod"


class BrokerSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to reach the broker. The user name and client id are the device id.

    Attributes:
        keepalive_s: the broker takes a silent device for gone after one and a half times this.
        ca_file: the only authority that is trusted; the broker's certificate must name ``host``.
        cert_file: the device's certificate, with ``key_file``.
        plain_tcp: no TLS, for tests and for a broker on this very machine: ``host`` must be a loopback address.
    """

    host: Annotated[str, Meta(min_length=1)]
    port: Port = 8883
    keepalive_s: Annotated[int, Meta(ge=5, le=300)] = 30
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    plain_tcp: bool = False


class ServiceSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where certificates are renewed.

    Attributes:
        ca_file: the authority of the service's own certificate, where the system does not know it.
        check_interval_s: how often to look whether the certificate is due.
    """

    url: Annotated[str, Meta(min_length=1)]
    ca_file: str | None = None
    check_interval_s: Annotated[int, Meta(ge=1, le=86_400)] = 21_600  # four times a day, for 30 days


class JournalSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to keep the journal; anything but FULL can forget a movement in a power cut."""

    synchronous: Synchronous = Synchronous.FULL


class LockSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which lock this is.

    Attributes:
        driver: ``memory``, ``solenoid``, ``motor``, ``servo``, ``strike``, or one that another package brings.
        options: what the driver needs, such as its lines; see docs/drivers.md.
    """

    driver: Annotated[str, Meta(min_length=1)] = "memory"
    kind: Kind = Kind.BIKE
    max_drive_ms: Annotated[int, Meta(ge=100, le=10_000)] = DEFAULTS.max_drive_ms
    options: dict[str, Any] = {}


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings; see ``EXAMPLE``.

    Attributes:
        config_revision: of the configuration that the command keys are; the journal may hold a newer one.
        report_key_pkcs11: where the report key is, as a URI (RFC 7512), instead of ``report_key_file``.
        service: without it certificates are not renewed.
        senses: see ``LoadedSettings.senses``.
        boot_id: replaces the kernel's, for tests only.
    """

    device: DeviceId
    state_dir: str
    report_key_file: str | None = None
    report_key_pkcs11: str | None = None
    command_key_files: Annotated[list[str], Meta(min_length=1)]
    config_revision: Count = 0
    broker: BrokerSettings
    service: ServiceSettings | None = None
    journal: JournalSettings = JournalSettings()
    lock: LockSettings = LockSettings()
    senses: dict[str, Any] = {}
    heartbeat_interval_ms: Annotated[int, Meta(ge=100)] = DEFAULTS.heartbeat_interval_ms
    boot_id: Id | None = None


class LoadedSettings:
    """Settings and the file they come from, which relative paths are relative to.

    Attributes:
        senses: those that the device has beside its lock's, ``None`` for none.
    """

    def __init__(self, file: Path, values: Settings, senses: SensesSettings | None = None) -> None:
        self.file = file
        self.values = values
        self.senses = senses

    def path(self, name: str) -> Path:
        """Return a path of the settings, made absolute."""
        return (self.file.parent / name).absolute()

    @property
    def journal_file(self) -> Path:
        """Where the journal is."""
        return self.path(self.values.state_dir) / "journal.sqlite"

    @property
    def identity(self) -> Identity | None:
        """The certificate for the broker and its key, if the device has one."""
        broker = self.values.broker
        if broker.cert_file is None or broker.key_file is None:
            return None
        return Identity(self.path(broker.cert_file), self.path(broker.key_file))

    @property
    def limits(self) -> Limits:
        """The core's limits with what the settings change."""
        return Limits(
            heartbeat_interval_ms=self.values.heartbeat_interval_ms, max_drive_ms=self.values.lock.max_drive_ms
        )


def load(file: Path) -> LoadedSettings:
    """Read the settings.

    Raises:
        SettingsError: naming the file, the key and what to do.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(file, f"cannot read the settings ({error}); name the file with --config") from error
    try:
        values = msgspec.convert(tomllib.loads(text), Settings)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(file, f"not TOML: {error}") from error
    except msgspec.ValidationError as error:
        words = with_line(text, in_words(error))
        raise SettingsError(file, f"{words}; an example is in: unlatch-agent run --help") from error
    for problem in _wrong(values):
        raise SettingsError(file, with_line(text, problem))
    return LoadedSettings(file, values, _senses(file, text, values) if values.senses else None)


def is_loopback(host: str) -> bool:
    """Return whether a host is this very machine, without asking a name server."""
    import ipaddress  # noqa: PLC0415 - 250 KiB that an agent with TLS does without

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _senses(file: Path, text: str, values: Settings) -> SensesSettings:
    from device_agent.senses import settings as senses  # noqa: PLC0415 - memory for those who have senses

    try:
        chosen = msgspec.convert(values.senses, senses.SensesSettings)
    except msgspec.ValidationError as error:
        words = with_line(text, in_words(error, "senses"))
        raise SettingsError(file, f"{words}; docs/senses.md has an example for each sense") from error
    for problem in senses.wrong(chosen, values.lock.options):
        raise SettingsError(file, with_line(text, problem))
    return chosen


def _wrong(values: Settings) -> Iterator[str]:
    yield from _wrong_keys(values)
    yield from _wrong_tls(values.broker)


def _wrong_keys(values: Settings) -> Iterator[str]:
    if (values.report_key_file is None) == (values.report_key_pkcs11 is None):
        yield "give report_key_file or report_key_pkcs11: the key that signs reports is in one place"


def _wrong_tls(broker: BrokerSettings) -> Iterator[str]:
    if (broker.cert_file is None) != (broker.key_file is None):
        yield "broker.cert_file and broker.key_file belong together: give both or neither"
    if broker.plain_tcp and (broker.ca_file or broker.cert_file):
        yield "broker.plain_tcp is without TLS: leave it out, or leave out broker.ca_file and broker.cert_file"
    if broker.plain_tcp and not is_loopback(broker.host):
        yield f"broker.plain_tcp is for a broker on this machine, not for {broker.host}: give broker.ca_file for TLS"
    if not broker.plain_tcp and not broker.ca_file:
        yield "broker.ca_file is missing: the authority that signed the broker's certificate (ca.pem of the enrolment)"
