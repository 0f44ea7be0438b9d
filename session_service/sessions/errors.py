"""Why a session cannot be started, or not ended that way."""

from __future__ import annotations

from session_service.errors import ConflictError, NotFoundError


class DeviceTakenError(ConflictError):
    """Somebody else has it."""

    type = "device-taken"
    title = "Someone is using it already"


class DeviceUnavailableError(ConflictError):
    """It is being cleaned, mended or looked at; ``state`` says which."""

    type = "device-unavailable"
    title = "It cannot be rented now"


class SessionNotRunningError(ConflictError):
    """Only a running session can be finished; ``state`` says where it stands."""

    type = "session-not-running"
    title = "This session is not running"


class PauseNotOfferedError(ConflictError):
    """This kind of device has no pause."""

    type = "pause-not-offered"
    title = "It cannot be paused"


class NotDecidableError(ConflictError):
    """An operator cannot decide the session this way; ``state`` says where it stands."""

    type = "session-not-decidable"
    title = "This session cannot be decided that way"


class UnknownSessionError(NotFoundError):
    """There is no such session, or it is somebody else's: the answer is the same."""

    title = "You have no such session"
