"""What can be wrong with managing devices."""

from __future__ import annotations

from session_service.alerts.errors import UnknownAlertError
from session_service.errors import ConflictError, NotFoundError

__all__ = ["InMaintenanceError", "NumberTakenError", "RevokedError", "UnknownAlertError", "UnknownDeviceError"]


class UnknownDeviceError(NotFoundError):
    """There is no device by this id."""

    title = "There is no such device"


class NumberTakenError(ConflictError):
    """Another device bears this number."""

    type = "number-taken"
    title = "This number is on another device"


class InMaintenanceError(ConflictError):
    """A person has taken it out of service, and a person puts it back."""

    type = "in-maintenance"
    title = "The device is in maintenance"


class RevokedError(ConflictError):
    """Somebody has revoked the device, which is for good."""

    type = "device-revoked"
    title = "The device is revoked"
