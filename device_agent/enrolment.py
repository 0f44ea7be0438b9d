"""``unlatch-agent enrol``: a new device makes its keys, proves its claim, and gets all that it needs to run.

Every step can be repeated after a crash: keys that are there are used again, so the request is the same, and the
service answers it as it did the first time. The settings are written last: a device that has them is enrolled.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from broker.contract.enrolment import Credentials, Enrolment
from broker.contract.keys import key_id, load_public, new_report_key, private_pem, public_pem
from device_agent import certificates, files
from device_agent.errors import AgentError, EnrolmentError
from device_agent.keys import FileKey, load_private_file
from device_agent.ports import ReportKey
from device_agent.service import Service
from device_agent.settings import Kind, load

PATH: Final = "/v1/enrolments"
SETTINGS_FILE: Final = "device.toml"
CA_FILE: Final = "ca.pem"
CERT_FILE: Final = "tls-cert.pem"
KEY_FILE: Final = "tls-key.pem"
REPORT_KEY_FILE: Final = "report-key.pem"
SERVICE_CA_FILE: Final = "service-ca.pem"
WIRING: Final = {"lock", "senses"}
"""The tables of the settings that a technician writes; the others are the service's word."""

_SETTINGS: Final = """\
# Written by: unlatch-agent enrol
device = {device}
state_dir = {state_dir}
{report_key}
command_key_files = {command_keys}
config_revision = {config_revision}

[broker]
host = {host}
port = {port}
ca_file = "{ca_file}"
cert_file = "{cert_file}"
key_file = "{key_file}"

[service]
url = {url}
{service_ca}
{wiring}"""

_IN_MEMORY: Final = """\
[lock]
driver = "memory"
kind = "{kind}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to enrol.

    Attributes:
        url: the service's address.
        claim: the one-time code from the device's registration.
        folder: where everything goes.
        ca_file: the authority of the service's own certificate, where the system does not know it.
        pkcs11: where the report key is to be made, as a URI; ``None`` for a file.
        kind: what the lock is on, where no wiring says so.
        wiring: the tables ``lock`` and ``senses`` of the settings; without them the lock moves in memory.
        state_dir: where the journal is to be; relative to ``folder``.
    """

    url: str
    device: str
    claim: str
    folder: Path
    ca_file: Path | None = None
    pkcs11: str | None = None
    kind: Kind = Kind.BIKE
    wiring: Path | None = None
    state_dir: str = "state"


def enrol(wish: Wish) -> Path:
    """Enrol a device; return its settings file.

    Raises:
        AgentError: it did not work out; the text says why and what to do, and it can be tried again.
    """
    settings_file = wish.folder / SETTINGS_FILE
    if settings_file.exists():
        msg = f"{settings_file}: this device is enrolled already; to begin anew, move {wish.folder} out of the way"
        raise EnrolmentError(msg)
    _wiring(wish)  # before the claim is spent
    service = Service(wish.url, wish.ca_file)
    try:
        return _enrol(wish, service, settings_file)
    except OSError as error:
        msg = f"{wish.folder}: {error}; check its owner and the free space, and enrol again"
        raise EnrolmentError(msg) from error


def make_tls_key(file: Path) -> EllipticCurvePrivateKey:
    """Return the P-256 key in ``file``, made now if there is none.

    Raises:
        OSError: it cannot be written.
        SettingsError: what is there cannot be used.
    """
    files.write_new(file, private_pem(new_report_key()), files.SECRET)
    return load_private_file(file)


def _enrol(wish: Wish, service: Service, settings_file: Path) -> Path:
    wish.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    tls_key = make_tls_key(wish.folder / KEY_FILE)
    application = Enrolment(
        device_id=wish.device,
        claim=wish.claim,
        csr_pem=certificates.request(tls_key, wish.device),
        report_key_pem=public_pem(_make_report_key(wish).public_key),
    )
    credentials = service.post(PATH, application)
    certificates.check(credentials, tls_key, wish.device, credentials.ca_pem)
    _check_command_keys(credentials.command_keys)
    _write(wish, credentials)
    files.write(settings_file, _checked(settings_file, _settings(wish, credentials)), files.SECRET)
    return settings_file


def _make_report_key(wish: Wish) -> ReportKey:
    if wish.pkcs11 is None:
        file = wish.folder / REPORT_KEY_FILE
        files.write_new(file, private_pem(new_report_key()), files.SECRET)
        return FileKey(file)
    from device_agent.pkcs11_key import Pkcs11Key  # noqa: PLC0415 - an optional package

    return Pkcs11Key(wish.pkcs11, make=True)


def _check_command_keys(keys: Mapping[str, str]) -> None:
    try:
        known = {key_id(load_public(pem)) for pem in keys.values()}
    except ValueError as error:
        msg = f"the service sent a command key that is none ({error}); is --service the address of Unlatch?"
        raise EnrolmentError(msg) from error
    if not keys or known != set(keys):
        msg = "the service sent no command keys, or under other names than theirs; is --service the address of Unlatch?"
        raise EnrolmentError(msg)


def _write(wish: Wish, credentials: Credentials) -> None:
    files.write(wish.folder / CA_FILE, credentials.ca_pem, files.PUBLIC)
    files.write(wish.folder / CERT_FILE, credentials.certificate_pem, files.PUBLIC)
    for kid, pem in credentials.command_keys.items():
        files.write(wish.folder / _command_key_file(kid), pem, files.PUBLIC)
    if wish.ca_file is not None:
        files.write(wish.folder / SERVICE_CA_FILE, wish.ca_file.read_text(encoding="ascii"), files.PUBLIC)


def _command_key_file(kid: str) -> str:
    """Name a file; ``_check_command_keys`` has seen to it that a key id is base64url and nothing else."""
    return f"command-key-{kid}.pem"


def _settings(wish: Wish, credentials: Credentials) -> str:
    return _SETTINGS.format(
        device=_quoted(wish.device),
        state_dir=_quoted(wish.state_dir),
        report_key=(
            f'report_key_file = "{REPORT_KEY_FILE}"'
            if wish.pkcs11 is None
            else f"report_key_pkcs11 = {_quoted(wish.pkcs11)}"
        ),
        command_keys=_quoted([_command_key_file(kid) for kid in sorted(credentials.command_keys)]),
        config_revision=credentials.config_revision,
        host=_quoted(credentials.broker.host),
        port=credentials.broker.port,
        ca_file=CA_FILE,
        cert_file=CERT_FILE,
        key_file=KEY_FILE,
        url=_quoted(wish.url),
        service_ca="" if wish.ca_file is None else f'ca_file = "{SERVICE_CA_FILE}"\n',
        wiring=_wiring(wish),
    )


def _wiring(wish: Wish) -> str:
    """Return the last tables of the settings.

    Raises:
        EnrolmentError: the file is none, or holds what is not for a technician to say.
    """
    if wish.wiring is None:
        return _IN_MEMORY.format(kind=wish.kind)
    try:
        text = wish.wiring.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"{wish.wiring}: cannot read the wiring ({error}); docs/drivers.md has an example for each lock"
        raise EnrolmentError(msg) from error
    if "lock" not in tables or not tables.keys() <= WIRING:
        msg = f"{wish.wiring}: a wiring has the tables [lock] and, where there are any, [senses], and nothing else"
        raise EnrolmentError(msg)
    return text


def _quoted(value: str | list[str]) -> str:
    """Return it as TOML, whose strings and arrays are written as JSON's."""
    return msgspec.json.encode(value).decode()


def _checked(settings_file: Path, text: str) -> str:
    """Make sure that the agent will read it, before it stands under its name."""
    trial = settings_file.with_name(f"{settings_file.name}.trial")
    files.write(trial, text, files.SECRET)
    try:
        load(trial)
    except AgentError as error:
        msg = f"the service sent something that gives no settings ({error}); is --service the address of Unlatch?"
        raise EnrolmentError(msg) from error
    finally:
        trial.unlink()
    return text
