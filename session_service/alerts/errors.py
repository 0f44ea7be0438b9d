"""What can be wrong with looking after alerts."""

from __future__ import annotations

from session_service.errors import ConflictError, NotFoundError


class UnknownAlertError(NotFoundError):
    """There is no such alert, or the device has none of this kind that is open."""

    title = "There is no such alert"


class AlertClearedError(ConflictError):
    """It is over."""

    type = "alert-cleared"
    title = "This alert has been cleared"


class AssigneeError(ConflictError):
    """Who is to look after it can change nothing: revoked, or only a viewer."""

    type = "not-a-technician"
    title = "This operator cannot look after alerts"
