"""What the API shows of a device's reports, and of what it was set up with."""

from __future__ import annotations

from typing import Any, Self

import msgspec
from pydantic import BaseModel, Field

from session_service.clock import rfc3339
from session_service.fleet.report_log import Line, said
from session_service.fleet.report_log_repository import TOP, Place
from session_service.fleet.setups import Configuration, Setup


class ReportOut(BaseModel):
    """A report as it was stored: its name, when it was true and when it came, what it says, and who signed it."""

    journal_id: str
    seq: int = Field(description="its place in the journal, without gaps")
    kind: str
    said: dict[str, Any] = Field(description="by the names of broker/contract; empty where nobody vouches for it")
    status: dict[str, Any] = Field(description="what the device's senses said then")
    at: str | None = Field(description="of what it speaks")
    received_at: str | None
    boot_id: str
    uptime_ms: int
    command_id: str | None
    verdict: str = Field(description="`verified`, or why its signature or its place does not hold")
    key_id: str | None = Field(description="the device's key that signed it")

    @classmethod
    def of(cls, line: Line) -> Self:
        """Return what is shown of a line."""
        row, report = line.row, line.report
        return cls(
            journal_id=row.journal_id,
            seq=row.seq,
            kind=row.kind,
            said={} if report is None else said(report),
            status={} if report is None else msgspec.to_builtins(report.status),
            at=rfc3339(row.at_ms),
            received_at=rfc3339(row.received_at_ms),
            boot_id=row.boot_id,
            uptime_ms=row.uptime_ms,
            command_id=row.command_id,
            verdict=line.verdict,
            key_id=line.key_id,
        )


class ReportsOut(BaseModel):
    """A page of reports, newest first; with ``before=next_before`` comes the next one, ``null`` says that none does."""

    rows: list[ReportOut]
    next_before: str | None


def place_text(line: Line) -> str:
    """Return the place of a line as ``before`` has it."""
    return f"{line.row.received_at_ms}.{line.row.journal_id}.{line.row.seq}"


def place_of(text: str | None) -> Place:
    """Return the place that ``place_text`` wrote; its form has been checked."""
    if text is None:
        return TOP
    at_ms, journal_id, seq = text.split(".")
    return Place(int(at_ms), journal_id, int(seq))


class CertificateOut(BaseModel):
    """The certificate that lasts longest of those that a device may use. It renews itself after half its time."""

    serial: str
    not_before: str | None
    not_after: str | None
    days_left: float = Field(description="below zero when it has run out")


class KeyOut(BaseModel):
    """The key that signs a device's reports now."""

    key_id: str
    valid_from: str | None


class ConfigurationOut(BaseModel):
    """A configuration by its revision. ``key_ids`` is ``null`` for one that this service never made."""

    revision: int
    key_ids: list[str] | None
    made_at: str | None


class SetupOut(BaseModel):
    """What a device has to identify itself, and the configurations that it has and is to have, with what differs."""

    certificate: CertificateOut | None
    report_key: KeyOut | None
    reported: ConfigurationOut
    wanted: ConfigurationOut
    missing_keys: list[str] = Field(description="it is to obey these, and does not yet")
    former_keys: list[str] = Field(description="it still obeys these, and is not to any more")

    @classmethod
    def of(cls, setup: Setup, now_ms: int) -> Self:
        """Return what is shown of it."""
        certificate, key = setup.certificate, setup.key
        has, wants = (set(one.key_ids or ()) for one in (setup.reported, setup.wanted))
        return cls(
            certificate=None
            if certificate is None
            else CertificateOut(
                serial=certificate.serial,
                not_before=rfc3339(certificate.not_before_ms),
                not_after=rfc3339(certificate.not_after_ms),
                days_left=setup.days_left(now_ms),
            ),
            report_key=None if key is None else KeyOut(key_id=key.key_id, valid_from=rfc3339(key.valid_from_ms)),
            reported=_configuration(setup.reported),
            wanted=_configuration(setup.wanted),
            missing_keys=sorted(wants - has),
            former_keys=sorted(has - wants),
        )


def _configuration(one: Configuration) -> ConfigurationOut:
    return ConfigurationOut(revision=one.revision, key_ids=one.key_ids, made_at=rfc3339(one.made_at_ms))
