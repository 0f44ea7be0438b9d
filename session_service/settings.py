"""What an installation can set, from ``UNLATCH_*`` variables or an env file."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from broker.contract.topics import INSTANCES_MAX, service_user
from session_service.clock import Clock, SharedClock
from session_service.errors import SetupError


def _known_driver(url: str) -> str:
    if url.startswith(("sqlite:///", "postgresql+asyncpg://")):
        return url
    msg = "must begin with sqlite:/// or postgresql+asyncpg://"
    raise ValueError(msg)


def _fits_a_label(url: str) -> str:
    scheme, _, host = url.partition("://")
    if scheme in {"http", "https"} and re.fullmatch(r"[A-Za-z0-9.:-]{1,38}/?", host):
        return url
    msg = "must be http:// or https:// and a host of at most 38 characters, without a path: it stands on every label"
    raise ValueError(msg)


def _map_tiles(address: str) -> str:
    is_address = re.fullmatch(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?/[!-~]*", address)
    if not address or (is_address and all(part in address for part in ("{z}", "{x}", "{y}"))):
        return address
    msg = "must begin with https:// and have {z}, {x} and {y} in its path"
    raise ValueError(msg)


def _networks(text: str) -> str:
    for part in filter(None, map(str.strip, text.split(","))):
        ip_network(part)  # its ValueError says what is wrong
    return text


DEFAULT_CELL = "local"


LABEL_TEXT: Final = r"^[ -~\u00a1-\u00ff]{0,48}$"
"""What the sheets' font has, as many characters as fit the width of a label at 5.5 points."""


def _known_zone(name: str) -> str:
    if name == "UTC" or name in available_timezones():
        return name
    msg = "must be a name of the time zone database, such as Europe/Vienna or Asia/Shanghai, or UTC"
    raise ValueError(msg)


class Settings(BaseSettings):
    """The service's settings; every time ends in its unit and is real time unless it says civil."""

    model_config = SettingsConfigDict(env_prefix="UNLATCH_", extra="forbid")

    database_url: Annotated[str, AfterValidator(_known_driver)] = "sqlite:///unlatch.db"
    secrets_dir: Path = Path("secrets")
    """Where `unlatch secrets` put the keys; see ``secrets.py``."""

    cell: str = Field(default=DEFAULT_CELL, pattern=r"^[a-z0-9-]{1,20}$")
    """The city that this installation serves. Operators' tokens name it, and are nobody's in any other."""

    instance: int = Field(default=0, ge=0, le=INSTANCES_MAX)
    """Which one of several instances this is, from 1; 0 if it is the only one. Several need PostgreSQL, and each a
    certificate of its own for the broker (docs/decisions/0036)."""

    time_zone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    """Of the city: pages and receipts tell its time."""

    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8080, ge=1, le=65_535)
    public_url: Annotated[str, AfterValidator(_fits_a_label)] = "http://127.0.0.1:8080"
    """How riders reach the service. Its host stands on every label."""

    map_tiles: Annotated[str, AfterValidator(_map_tiles)] = ""
    """Where pictures of the map come from, such as ``https://tiles.example/{z}/{x}/{y}.png``; without one the map is
    plain lines. Whose tiles they are learns which parts of the city riders look at."""
    map_attribution: str = Field(default="", max_length=200)
    """Whose map it is, as its licence wants it said; plain text."""

    trusted_proxies: Annotated[str, AfterValidator(_networks)] = ""
    """Addresses or networks, with commas between, whose ``X-Forwarded-For`` and ``-Proto`` are believed. Riders are
    counted by address: behind a proxy that is not named here, all of them are one."""

    limits_factor: float = Field(default=1.0, gt=0, le=1_000_000)
    """Multiplies the amounts in ``limits/table.py``; for replays and load tests, which come from one address."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """At DEBUG there is a line for each request. No level writes tokens, positions or texts of labels."""

    demo: bool = False
    """Serves ``/docs``, whose script comes from elsewhere."""

    brand: str = Field(default="Unlatch", pattern=LABEL_TEXT, max_length=28)
    """The name that stands on every label, in clear, so that people know whose it is."""
    label_tamper_text: str = Field(default="", pattern=LABEL_TEXT)
    """A line on every label against peeling it off, such as: Torn or loose? Do not scan."""

    broker_host: str = "127.0.0.1"
    broker_port: int = Field(default=8883, ge=1, le=65_535)
    device_broker_host: str = ""
    """Where devices reach the broker, if that is not ``broker_host``; a name or address of the broker's certificate."""
    device_broker_port: int | None = Field(default=None, ge=1, le=65_535)
    broker_ca: Path | None = None
    broker_cert: Path | None = None
    broker_key: Path | None = None
    """Who signed the broker's certificate, and what the service shows it. Without them those of `unlatch pki init`."""

    payment_url: str = "http://127.0.0.1:8090"
    currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$")

    civil_speed: float = Field(default=1.0, gt=0, le=100_000)
    civil_start_ms: int | None = None
    civil_real_start_ms: int | None = None
    """The real moment of ``civil_start_ms``; without one it is when the program starts. One for all instances."""

    unlock_deadline_ms: int = Field(default=8_000, ge=500, le=60_000)  # a motor lock needs 3 s, a rider waits 10
    report_patience_ms: int = Field(default=4_000, ge=100, le=60_000)  # a report's way back, after the deadline
    unknown_grace_ms: int = Field(
        default=180_000, ge=1_000
    )  # then an unanswered Start costs nothing, as with power banks
    lock_deadline_ms: int = Field(default=15_000, ge=500)  # a door that swings shut slowly
    stale_after_ms: int = Field(default=90_000, ge=1_000)  # three heartbeats missed: the device counts as offline
    cleaning_ms: int = Field(default=900_000, ge=0)  # then a pod is let again without a technician
    answers_kept_ms: int = Field(default=604_800_000, ge=86_400_000)
    """How long a request may be repeated under its Idempotency-Key. A week: a phone in a drawer asks again by then."""
    sweep_every_ms: int = Field(default=1_000, ge=50)

    # What the rounds of the alerts look for (session_service/alerts/rules.py).
    alerts_every_ms: int = Field(default=10_000, ge=100, le=86_400_000)  # a round of 10,000 devices takes 40 ms
    silent_after_ms: int = Field(default=300_000, ge=1_000)  # ten heartbeats: longer than tunnels and restarts
    cleaning_overdue_ms: int = Field(default=3_600_000, ge=1_000)  # where only people end cleaning
    held_too_long_ms: int = Field(default=14_400_000, ge=1_000)  # half a shift
    alerts_kept_days: int = Field(default=366, ge=31, le=3_660)
    """How long after their end. A year, to compare with the last one; longer than the longest mute."""
    notes_kept_days: int = Field(default=366, ge=31, le=3_660)
    """What was written down at visits where nothing lasts: what was mended a year ago still tells about a device."""
    notices_kept_days: int = Field(default=30, ge=7, le=3_660)  # after they were taken or given up

    # To whom alerts are sent on; nothing is sent unless it is set. Secrets: alert-webhook-secret, smtp-password.
    alert_webhook_url: str = Field(default="", pattern=r"^(https?://[!-~]{1,2000})?$")
    smtp_host: str = Field(default="", max_length=253)
    smtp_port: int = Field(default=587, ge=1, le=65_535)
    smtp_from: str = Field(default="", pattern=r"^([^@\s,]+@[^@\s,]+)?$")
    smtp_to: str = Field(default="", pattern=r"^([^@\s,]+@[^@\s,]+(\s*,\s*[^@\s,]+@[^@\s,]+)*)?$")
    """Addresses, with commas between."""
    smtp_user: str = Field(default="", max_length=200)
    smtp_starttls: bool = True
    """Whether mails go encrypted, and to nobody else; without it only to a server on this machine."""
    smtp_ca: Path | None = None
    """Who signed the mail server's certificate, if not an authority that this machine trusts."""

    # Telemetry (docs/decisions/0021). Hours are kept for good; docs/performance.md says what each day takes.
    telemetry_raw_days: int = Field(default=7, ge=1, le=366)
    telemetry_minutes_days: int = Field(default=90, ge=1, le=3_660)
    telemetry_late_ms: int = Field(
        default=120_000, ge=1_000, le=3_600_000
    )  # as long as a batch may wait for a database

    # Traces (docs/monitoring.md). Without an endpoint there are none.
    otlp_endpoint: str = Field(default="", pattern=r"^(https?://[!-~]{1,2000})?$")
    """A collector that takes OTLP over HTTP, such as ``http://127.0.0.1:4318``; ``/v1/traces`` is put behind it."""
    otlp_sample_ratio: float = Field(default=1.0, gt=0, le=1)
    """The share of requests that are traced; what follows from one is traced with it."""

    @property
    def receivers(self) -> list[str]:
        """Who gets mails about alerts."""
        return [address.strip() for address in self.smtp_to.split(",") if address.strip()]

    @property
    def proxies(self) -> list[str]:
        """The trusted proxies, each by itself."""
        return [proxy.strip() for proxy in self.trusted_proxies.split(",") if proxy.strip()]

    # Where a label is scanned, held against where its device is (session_service/presence/distance.py has the formula).
    near_tolerance_m: int = Field(default=150, ge=10, le=100_000)  # two fixes among houses, and a walk round a rack
    label_far_m: int = Field(default=500, ge=10, le=1_000_000)  # farther than any mistake of a fix among houses
    position_max_age_ms: int = Field(default=900_000, ge=1_000)  # an older fix of a device says nothing any more
    accuracy_max_m: int = Field(default=200, ge=1, le=10_000)  # a phone that knows its place worse than that knows none
    two_places_min_m: int = Field(default=5_000, ge=1_000)  # nearer than that, phones and their networks differ
    two_places_m_per_s: int = Field(default=40, ge=1)  # 144 km/h: no label travels faster on a road

    @property
    def broker_ca_file(self) -> Path:
        """The authority of the broker's certificate."""
        return self.broker_ca or self.secrets_dir / "pki" / "ca.pem"

    @property
    def broker_cert_file(self) -> Path:
        """The service's certificate, as a client of the broker."""
        return self.broker_cert or self.secrets_dir / "pki" / f"{service_user(self.instance)}.pem"

    @property
    def broker_key_file(self) -> Path:
        """The key of ``broker_cert_file``."""
        return self.broker_key or self.secrets_dir / "pki" / f"{service_user(self.instance)}-key.pem"

    @property
    def label_host(self) -> str:
        """The host that labels name, with its port if it is not the scheme's own."""
        return self.public_url.split("://", 1)[-1].rstrip("/").upper()


def clock_of(settings: Settings) -> Clock:
    """Return an installation's clock: a ``SharedClock`` where there are several instances."""
    kind = SharedClock if settings.instance else Clock
    if settings.civil_real_start_ms is None:
        return kind(settings.civil_speed, settings.civil_start_ms)
    return kind(settings.civil_speed, settings.civil_start_ms, settings.civil_real_start_ms)


def load_settings(**overrides: object) -> Settings:
    """Read the settings.

    Raises:
        SetupError: a variable has a wrong value; the message names it.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [f"  UNLATCH_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
        msg = "Some settings are wrong; correct these variables and start again:\n" + "\n".join(lines)
        raise SetupError(msg) from error
