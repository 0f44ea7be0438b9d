"""What can be wrong with deciding on what somebody else asked for."""

from __future__ import annotations

from session_service.errors import ConflictError, NotFoundError, Problem


class UnknownApprovalError(NotFoundError):
    """Nothing with this id waits for a second person, or ever did."""

    title = "There is no such request"


class PersonNeededError(Problem):
    """A program cannot ask for this or confirm it, for nobody knows who stands behind it."""

    status = 403
    type = "person-needed"
    title = "People have to do this, and no program"


class SamePersonError(Problem):
    """Who asked for it cannot confirm it as well."""

    status = 403
    type = "second-person-needed"
    title = "Somebody else has to confirm this"


class ApprovalDecidedError(ConflictError):
    """It has been confirmed or declined already."""

    type = "approval-decided"
    title = "This has been decided already"


class ApprovalExpiredError(ConflictError):
    """It waited for too long."""

    type = "approval-expired"
    title = "This waited for too long"


class ApprovalOutdatedError(ConflictError):
    """The device is in other hands than when it was asked for."""

    type = "approval-outdated"
    title = "Things have changed since this was asked for"
