"""What can be wrong with becoming a rider."""

from __future__ import annotations

from session_service.errors import ConflictError


class RiderAlreadyError(ConflictError):
    """The browser has a rider's cookie, and another one would take its place, and the wallet with it."""

    type = "rider-already"
    title = "There is a rider in this browser"
