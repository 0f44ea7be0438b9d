"""What can be wrong with visits."""

from __future__ import annotations

from session_service.errors import NotFoundError


class NoVisitError(NotFoundError):
    """Nothing there needs a person, or not any more."""

    title = "No visit is needed there"
