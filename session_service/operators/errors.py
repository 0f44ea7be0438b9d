"""What can be wrong with managing operators."""

from __future__ import annotations

from session_service.errors import ConflictError, NotFoundError


class NameTakenError(ConflictError):
    """Another operator bears this name, revoked or not: the audit tells them apart by it."""

    type = "name-taken"
    title = "There is an operator by this name"


class UnknownOperatorError(NotFoundError):
    """There is no operator by this name."""

    title = "There is no such operator"
