"""Tables of device identity: claims, certificates, and the keys that sign reports."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Index, Text, text
from sqlmodel import Field, SQLModel

from session_service.database import big

OPEN_CLAIM = "used_at_ms IS NULL AND voided_at_ms IS NULL"
CURRENT_KEY = "ended_at_ms IS NULL"
REVOKED = "revoked_at_ms IS NOT NULL"


class DeviceClaim(SQLModel, table=True):
    """A permission to enrol a device once. Its code is stored nowhere: ``claims.py`` computes it from ``id``."""

    __tablename__ = "device_claim"
    __table_args__ = (
        CheckConstraint("tries >= 0", name="device_claim_tries"),
        CheckConstraint("used_at_ms IS NULL OR voided_at_ms IS NULL", name="device_claim_end"),
        Index(
            "device_claim_open",
            "device_id",
            unique=True,
            sqlite_where=text(OPEN_CLAIM),
            postgresql_where=text(OPEN_CLAIM),
        ),
    )

    id: str = Field(primary_key=True, max_length=26)
    device_id: str = Field(foreign_key="device.id", max_length=10, index=True)
    created_at_ms: int = big()
    expires_at_ms: int = big()
    tries: int = 0
    used_at_ms: int | None = big(default=None)
    voided_at_ms: int | None = big(default=None)


class DeviceCertificate(SQLModel, table=True):
    """A certificate that was issued to a device; ``serial`` is hexadecimal.

    ``request`` is the hash of what asked for it: the same request again gets the same certificate for a while.
    """

    __tablename__ = "device_certificate"
    __table_args__ = (
        Index(
            "device_certificate_revoked",
            "revoked_at_ms",
            sqlite_where=text(REVOKED),
            postgresql_where=text(REVOKED),
        ),
        Index("device_certificate_request", "device_id", "request"),
    )

    serial: str = Field(primary_key=True, max_length=40)
    device_id: str = Field(foreign_key="device.id", max_length=10)
    request: str = Field(max_length=64)
    not_before_ms: int = big()
    not_after_ms: int = big()
    pem: str = Field(sa_type=Text)
    revoked_at_ms: int | None = big(default=None)
    reason: str = Field(default="", sa_type=Text)


class DeviceKey(SQLModel, table=True):
    """A key that signs a device's reports, from ``valid_from_ms`` on (real time).

    The one without an end is the current one, and the only one that the gateway takes. The others stay, so that what
    they have signed can be verified.
    """

    __tablename__ = "device_key"
    __table_args__ = (
        Index(
            "device_key_current",
            "device_id",
            unique=True,
            sqlite_where=text(CURRENT_KEY),
            postgresql_where=text(CURRENT_KEY),
        ),
    )

    device_id: str = Field(primary_key=True, foreign_key="device.id", max_length=10)
    key_id: str = Field(primary_key=True, max_length=16)
    pem: str = Field(sa_type=Text)
    valid_from_ms: int = big(index=True)
    ended_at_ms: int | None = big(default=None, index=True)
