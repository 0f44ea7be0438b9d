"""What Start asks for before it opens a thing: each problem says what to do next."""

from __future__ import annotations

from session_service.errors import ConflictError


class ConfirmNumberError(ConflictError):
    """Start needs the number that is printed on the thing, and got none or another one."""

    type = "confirm-number"
    title = "Which number is printed on it?"


class DisplayCodeNeededError(ConflictError):
    """Start needs the code on the thing's display, and got none, an old one or a wrong one."""

    type = "display-code-needed"
    title = "Which code does its display show?"


class PositionNeededError(ConflictError):
    """Start needs the phone's position, and a good one."""

    type = "position-needed"
    title = "Where are you?"


class TooFarError(ConflictError):
    """The phone is elsewhere: ``distance_m`` away, where ``tolerance_m`` are allowed."""

    type = "too-far-away"
    title = "It does not stand where you are"


class NoDisplayError(ConflictError):
    """The policy asks for a code of a display that has no secret."""

    type = "no-display-secret"
    title = "Its display has no secret yet"
