"""What can be wrong with kept views."""

from __future__ import annotations

from session_service.errors import ConflictError, NotFoundError


class UnknownViewError(NotFoundError):
    """The operator has no such view."""

    title = "You have no such view"


class TooManyViewsError(ConflictError):
    """The operator has as many views as there may be."""

    type = "too-many-views"
    title = "You have as many views as there may be"
