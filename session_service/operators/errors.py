"""What can be wrong with operators and their sign-ins."""

from __future__ import annotations

from session_service.errors import ConflictError, NotFoundError, NotSignedInError, Problem


class NameTakenError(ConflictError):
    """Another operator bears this name, revoked or not: the audit tells them apart by it."""

    type = "name-taken"
    title = "There is an operator by this name"


class UnknownOperatorError(NotFoundError):
    """There is no operator by this name."""

    title = "There is no such operator"


class PoorPasswordError(Problem):
    """The password can be guessed."""

    status = 422
    type = "poor-password"
    title = "This password is too easy to guess"


class SignInFailedError(NotSignedInError):
    """Name, password and code do not go together. Which of them is wrong is not said."""

    type = "sign-in-failed"
    title = "This is not how anybody signs in"


class NoSignInError(ConflictError):
    """The caller has a program's token, and what was asked for is about a sign-in."""

    type = "no-sign-in"
    title = "A program's token is no sign-in"
