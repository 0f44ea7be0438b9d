"""What a device was set up with: its certificate, the key of its reports, and its configuration, had and wanted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from session_service.devices import service as devices
from session_service.keys import repository as configurations
from session_service.pki import repository as pki
from session_service.pki.model import DeviceCertificate, DeviceKey

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Configuration:
    """One revision. ``key_ids`` is ``None`` where this service never made it: a backup was put back."""

    revision: int
    key_ids: list[str] | None
    made_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Setup:
    """A device's papers, with what it says that it obeys, and what it is to obey."""

    certificate: DeviceCertificate | None
    key: DeviceKey | None
    reported: Configuration
    wanted: Configuration

    def days_left(self, now_ms: int) -> float:
        """Return for how many days the certificate is still good, below zero when it has ended; 0 for none."""
        return 0.0 if self.certificate is None else round((self.certificate.not_after_ms - now_ms) / DAY_MS, 1)


def of_device(connection: Connection, device_id: str) -> Setup:
    """Return what a device was set up with.

    Raises:
        UnknownDeviceError: there is no such device.
    """
    state = devices.look(connection, device_id).state
    return Setup(
        pki.lasting_certificate(connection, device_id),
        pki.current_key(connection, device_id),
        _configuration(connection, device_id, state.config_revision),
        _configuration(connection, device_id, state.config_wanted),
    )


def _configuration(connection: Connection, device_id: str, revision: int) -> Configuration:
    row = configurations.one(connection, device_id, revision)
    if row is None:
        return Configuration(revision, None, None)
    return Configuration(revision, row.key_ids.split(), row.made_at_ms)
