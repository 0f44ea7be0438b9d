"""Errors that a caller can do something about, as problem details (RFC 9457)."""

from __future__ import annotations

from typing import Any, ClassVar

TYPE_PREFIX = "urn:unlatch:problem:"


class Problem(Exception):  # noqa: N818 - the name that RFC 9457 gives it
    """A request that cannot be met. Nothing of it has had an effect.

    Attributes:
        status: HTTP status.
        type: stable name; with ``TYPE_PREFIX`` before it, the problem's URI.
        title: the same for every occurrence.
        detail: what to do about this one.
        extra: facts for programs; they stand beside the other members.
    """

    status: ClassVar[int] = 400
    type: ClassVar[str] = "bad-request"
    title: ClassVar[str] = "The request cannot be met"

    def __init__(self, detail: str, **extra: Any) -> None:  # noqa: ANN401 - whatever JSON can say
        super().__init__(f"{self.type}: {detail}")
        self.detail = detail
        self.extra = extra

    def as_json(self) -> dict[str, Any]:
        """Return the members of the problem document."""
        return {
            "type": TYPE_PREFIX + self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }


class NotSignedInError(Problem):
    """No token, or one that names nobody."""

    status = 401
    type = "not-signed-in"
    title = "This needs a valid token"


class NotAllowedError(Problem):
    """Who asks is known, and may not do this (RFC 9110 section 15.5.4)."""

    status = 403
    type = "not-allowed"
    title = "This is not for you to do"


class NotFoundError(Problem):
    """There is no such thing, or it is not the caller's."""

    status = 404
    type = "not-found"
    title = "There is no such thing here"


class MalformedError(Problem):
    """The request does not have the form that the API asks for."""

    status = 422
    type = "malformed-request"
    title = "The request is malformed"


class BodyTooLargeError(Problem):
    """The request's body is longer than any that has a meaning here; most of it was not read."""

    status = 413
    type = "body-too-large"
    title = "The request is too long"


class ConflictError(Problem):
    """What was asked does not go together with how things stand."""

    status = 409
    type = "conflict"
    title = "This cannot be done now"


class ChangedMeanwhileError(Problem):
    """What the caller saw is not how things stand any more (RFC 9110 section 13.1.1). Extra: how they stand."""

    status = 412
    type = "changed-meanwhile"
    title = "It has changed since you looked"


class VersionNeededError(Problem):
    """The request does not say which version of things it is about (RFC 6585 section 3)."""

    status = 428
    type = "version-needed"
    title = "Say which version you have seen"


class TooManyRequestsError(Problem):
    """The caller has asked more often than the table of limits allows (RFC 6585 section 4).

    ``retry_after_s`` is when to ask again; the answer has it as ``Retry-After`` too. Extra: ``limit``, its name.
    """

    status = 429
    type = "too-many-requests"
    title = "Too many requests"

    def __init__(self, detail: str, *, retry_after_s: int, limit: str) -> None:
        super().__init__(detail, retry_after_s=retry_after_s, limit=limit)
        self.retry_after_s = retry_after_s


class InternalError(Problem):
    """Our mistake."""

    status = 500
    type = "internal-error"
    title = "The service has made a mistake"


class UnreachableError(Problem):
    """Something that the service needs does not answer."""

    status = 503
    type = "service-unreachable"
    title = "The service cannot do this at the moment"


class SetupError(Exception):
    """The program cannot start; the message says what to do."""
