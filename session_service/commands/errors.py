"""What can be wrong with asking a device for something."""

from __future__ import annotations

from session_service.errors import ConflictError


class DeviceOfflineError(ConflictError):
    """The device has not been heard of for too long, so nobody can say what it would do."""

    type = "device-offline"
    title = "The device is offline"
