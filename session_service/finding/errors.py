"""What can go wrong with a printed number."""

from __future__ import annotations

from session_service.errors import NotFoundError


class NumberNotHereError(NotFoundError):
    """No thing near the phone bears the number. Whether one elsewhere does is not said (docs/decisions/0017)."""

    type = "number-not-here"
    title = "Nothing near you has this number"
