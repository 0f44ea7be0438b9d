"""Whether a label may open something: its mac, and whether it has been revoked."""

from __future__ import annotations

from session_service.errors import Problem
from session_service.labels.errors import ForgedLabelError, RevokedLabelError, UnknownLabelError
from session_service.labels.token import LabelKeys, LabelParts, is_ours, parse, verify
from session_service.secrets import Secrets

_FORGED = "Do not use it. Look for another label on the device, and tell the operator of this one."


def label_keys(secrets: Secrets) -> LabelKeys:
    """Return the keys of the macs; the greatest id is the one for new labels."""
    return LabelKeys(secrets.label_keys, current=max(secrets.label_keys))


def genuine(text: str, keys: LabelKeys, *, host: str) -> LabelParts:
    """Return the parts of a label that one of our keys has signed, without asking the database.

    Raises:
        MalformedLabelError, ForeignLabelError: it is no label, or another host's.
        ForgedLabelError: its mac is wrong.
    """
    parts = parse(text, host=host)
    if not is_ours(parts, keys):
        raise ForgedLabelError(_FORGED)
    return parts


def ensure_genuine(parts: LabelParts, keys: LabelKeys, generation: int, revoked_at_ms: int | None) -> None:
    """Hold a label against its row.

    Raises:
        ForgedLabelError: the mac is of another generation.
        RevokedLabelError: a newer label has taken its place, or it was taken out of use.
    """
    if not verify(parts, keys, generation=generation):
        raise ForgedLabelError(_FORGED)
    if revoked_at_ms is not None:
        msg = "Look for a newer label on the device; if there is none, tell the operator."
        raise RevokedLabelError(msg)


def without_row() -> Problem:
    """Return what to say of a genuine label that the database does not know."""
    return UnknownLabelError("This label is not in use any more, or not yet. Look for another one on the device.")
