"""What the API says of devices."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from session_service.clock import rfc3339
from session_service.devices.model import Device, DeviceAlert, Kind, Service
from session_service.devices.service import NewDevice, Presence, Seen, presence
from session_service.pki.claims import code_of
from session_service.pki.model import DeviceClaim
from session_service.pki.schemas import command_keys
from session_service.secrets import Secrets

MAX_NUMBER = 2_147_483_647  # the column is an INTEGER
PEM_CHARS = 1_000  # a P-256 key has 178

Line = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""One line of text by a person; a NUL would be refused by PostgreSQL."""

Why = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class DeviceIn(BaseModel):
    """A device to register; position where it stands, for one that does not know."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    number: int = Field(strict=True, ge=1, le=MAX_NUMBER, description="printed on the device; unique")
    report_key_pem: str | None = Field(
        default=None, max_length=PEM_CHARS, description="public P-256 key, PEM, of a device that is not to enrol"
    )
    site: Line = ""
    lat: float | None = Field(default=None, strict=True, ge=-90, le=90, allow_inf_nan=False)
    lon: float | None = Field(default=None, strict=True, ge=-180, le=180, allow_inf_nan=False)

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.lat is None) != (self.lon is None):
            msg = "lat and lon go together"
            raise ValueError(msg)
        return self

    def wish(self) -> NewDevice:
        """Return it as the service takes it."""
        return NewDevice(self.kind, self.number, self.report_key_pem, self.site, self.lat, self.lon)


class ClaimOut(BaseModel):
    """What a person types at a device, once, to enrol it: its id and the code ``claim``, until ``claim_expires_at``."""

    device_id: str
    claim_id: str
    claim: str
    claim_expires_at: str | None

    def with_code(self, secrets: Secrets) -> Self:
        """Return it with the code, which answers that are kept are without (``pki/claims.py``)."""
        return self.model_copy(update={"claim": code_of(secrets.token_secret, self.device_id, self.claim_id)})

    @classmethod
    def of_claim(cls, claim: DeviceClaim) -> ClaimOut:
        """Return a claim without its code."""
        return ClaimOut(**_claim_fields(claim))


class RegisteredOut(ClaimOut):
    """A new device: how it is enrolled, and the public keys of the orders that it may obey, by key id."""

    number: int
    kind: Kind
    command_keys: dict[str, str]

    @classmethod
    def of(cls, device: Device, claim: DeviceClaim, secrets: Secrets) -> Self:
        """Return a registered device, without the claim's code."""
        keys = command_keys(secrets)
        return cls(**_claim_fields(claim), number=device.number, kind=device.kind, command_keys=keys)


def _claim_fields(claim: DeviceClaim) -> dict[str, Any]:
    expires_at = rfc3339(claim.expires_at_ms)
    return {"device_id": claim.device_id, "claim_id": claim.id, "claim": "", "claim_expires_at": expires_at}


class MaintenanceIn(BaseModel):
    """Whether a device is in maintenance, and why."""

    model_config = ConfigDict(extra="forbid")

    on: bool = Field(strict=True)
    reason: Why


class ReasonIn(BaseModel):
    """Why a person does something."""

    model_config = ConfigDict(extra="forbid")

    reason: Why


class AlertOut(BaseModel):
    """Something that a person should see."""

    kind: str
    detail: str
    opened_at: str | None

    @classmethod
    def of(cls, alert: DeviceAlert) -> AlertOut:
        """Return an alert as the API shows it."""
        return cls(kind=alert.kind, detail=alert.detail, opened_at=rfc3339(alert.opened_at_ms))


class DeviceOut(BaseModel):
    """A device, and what it last said of itself: ``age_s`` seconds ago, ``null`` if it has never been heard of.

    It has the configuration ``config_revision``, and is to have ``config_wanted``.
    """

    device_id: str
    number: int
    kind: Kind
    site: str
    service: Service
    service_reason: str
    service_since: str | None
    revoked_at: str | None
    presence: Presence
    seen_at: str | None
    age_s: float | None
    boot_id: str | None
    bolt: str
    door_shut: bool | None
    occupied: bool | None
    battery_percent: int | None
    lat: float | None
    lon: float | None
    outbox_depth: int
    config_revision: int
    config_wanted: int
    agent_version: str
    alerts: list[AlertOut]

    @classmethod
    def of(cls, seen: Seen, now_ms: int, stale_after_ms: int) -> Self:
        """Return a device as the API shows it."""
        device, state = seen.device, seen.state
        age_ms = None if state.seen_at_ms is None else max(0, now_ms - state.seen_at_ms)
        return cls(
            device_id=device.id,
            number=device.number,
            kind=device.kind,
            site=device.site,
            service=device.service,
            service_reason=device.service_reason,
            service_since=rfc3339(device.service_since_ms),
            revoked_at=rfc3339(device.revoked_at_ms),
            presence=presence(state.seen_at_ms, now_ms, stale_after_ms),
            seen_at=rfc3339(state.seen_at_ms),
            age_s=None if age_ms is None else age_ms / 1000,
            boot_id=state.boot_id,
            bolt=state.bolt,
            door_shut=state.door_shut,
            occupied=state.occupied,
            battery_percent=state.battery_percent,
            lat=state.lat,
            lon=state.lon,
            outbox_depth=state.outbox_depth,
            config_revision=state.config_revision,
            config_wanted=state.config_wanted,
            agent_version=state.agent_version,
            alerts=[AlertOut.of(alert) for alert in seen.alerts],
            **cls._more(seen),
        )

    @classmethod
    def _more(cls, _seen: Seen) -> dict[str, object]:
        return {}


class OneDeviceOut(DeviceOut):
    """One device; ``session_id`` names a session of it that has not ended: maintenance does not stop that one."""

    session_id: str | None

    @classmethod
    def _more(cls, seen: Seen) -> dict[str, object]:
        return {"session_id": seen.session_id}


class DevicesOut(BaseModel):
    """A page of devices; ask for the next one with ``after=next_after``."""

    devices: list[DeviceOut]
    next_after: int | None
