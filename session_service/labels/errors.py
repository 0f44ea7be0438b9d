"""What can be wrong with a label or with a photograph of one. Nothing is written for any of these (DESIGN 6)."""

from __future__ import annotations

from session_service.errors import ConflictError, Problem


class MalformedLabelError(Problem):
    """The text does not have a label's form."""

    status = 422
    type = "malformed-label"
    title = "This is not a label"


class ForeignLabelError(Problem):
    """The label names another host."""

    status = 404
    type = "foreign-label"
    title = "This label belongs to another operator"


class ForgedLabelError(Problem):
    """The mac does not belong to this label: forged, altered or signed with a key that is no longer accepted."""

    status = 403
    type = "forged-label"
    title = "This label is not genuine"


class UnknownLabelError(Problem):
    """The label is genuine, or is asked for by its id, but there is no record of it."""

    status = 404
    type = "unknown-label"
    title = "There is no record of this label"


class RevokedLabelError(Problem):
    """The label was genuine once and has been revoked."""

    status = 410
    type = "revoked-label"
    title = "This label is no longer valid"


class SuspendedLabelError(ConflictError):
    """Somebody has said that the label opens another thing; a technician looks first."""

    type = "suspended-label"
    title = "This label is being checked"


class NotMountableError(ConflictError):
    """A label that opens nothing is not mounted."""

    type = "label-not-mountable"
    title = "This label cannot be mounted"


class LabelKeyError(ConflictError):
    """The keys of the labels cannot be changed in this way; nothing has changed."""

    type = "label-key"
    title = "This label key cannot be changed so"


class LabelKeyInUseError(ConflictError):
    """Labels in force carry a mac under this key: ``labels_in_force`` says how many."""

    type = "label-key-in-use"
    title = "Labels in force still need this key"


class TooManyLabelsError(ConflictError):
    """The device has had all the labels it can have."""

    type = "too-many-labels"
    title = "The device has had too many labels"


class NoLabelInPhotoError(Problem):
    """The photograph was decoded, and no label was read in it."""

    status = 422
    type = "no-label-in-photo"
    title = "No label could be read in the photograph"


class PhotoTooLargeError(Problem):
    """The photograph has more bytes or pixels than are decoded."""

    status = 413
    type = "photo-too-large"
    title = "The photograph is too large"


class PhotoUnreadableError(Problem):
    """The file is of a known format, but damaged or cut short."""

    status = 422
    type = "photo-unreadable"
    title = "The photograph is damaged"


class PhotoFormatError(Problem):
    """The file is no JPEG, PNG or WebP."""

    status = 415
    type = "photo-format"
    title = "This kind of file is not read"


class PhotoReaderBusyError(Problem):
    """More photographs are waiting than the memory allows for."""

    status = 503
    type = "photo-reader-busy"
    title = "Too many photographs at once"
