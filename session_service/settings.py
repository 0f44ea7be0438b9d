"""What an installation can set, from ``UNLATCH_*`` variables or an env file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

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


class Settings(BaseSettings):
    """The service's settings; every time ends in its unit and is real time unless it says civil."""

    model_config = SettingsConfigDict(env_prefix="UNLATCH_", extra="forbid")

    database_url: Annotated[str, AfterValidator(_known_driver)] = "sqlite:///unlatch.db"
    secrets_dir: Path = Path("secrets")
    """Where `unlatch secrets` put the keys; see ``secrets.py``."""

    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8080, ge=1, le=65_535)
    public_url: Annotated[str, AfterValidator(_fits_a_label)] = "http://127.0.0.1:8080"
    """How riders reach the service. Its host stands on every label."""

    broker_host: str = "127.0.0.1"
    broker_port: int = Field(default=1883, ge=1, le=65_535)
    broker_password: str = ""

    payment_url: str = "http://127.0.0.1:8090"
    currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$")

    civil_speed: float = Field(default=1.0, gt=0, le=100_000)
    civil_start_ms: int | None = None

    unlock_deadline_ms: int = Field(default=8_000, ge=500, le=60_000)  # a motor lock needs 3 s, a rider waits 10
    report_patience_ms: int = Field(default=4_000, ge=100, le=60_000)  # a report's way back, after the deadline
    unknown_grace_ms: int = Field(
        default=180_000, ge=1_000
    )  # then an unanswered Start costs nothing, as with power banks
    lock_deadline_ms: int = Field(default=15_000, ge=500)  # a door that swings shut slowly
    stale_after_ms: int = Field(default=90_000, ge=1_000)  # three heartbeats missed: the device counts as offline
    cleaning_ms: int = Field(default=900_000, ge=0)  # then a pod is let again without a technician
    sweep_every_ms: int = Field(default=1_000, ge=50)

    @property
    def label_host(self) -> str:
        """The host that labels name, with its port if it is not the scheme's own."""
        return self.public_url.split("://", 1)[-1].rstrip("/").upper()


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
