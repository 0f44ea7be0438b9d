"""For operators: the keys of the labels' macs, under /v1/ops/label-keys, and what a label is that somebody has read."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Response
from sqlalchemy import Connection

from session_service import audit
from session_service.context import InContext
from session_service.devices.schemas import ReasonIn
from session_service.devices.service import By
from session_service.idempotency import Answer, OnceOf, answer_once
from session_service.labels import repository, service, token
from session_service.labels.errors import (
    ForgedLabelError,
    LabelKeyInUseError,
    RevokedLabelError,
    SuspendedLabelError,
)
from session_service.labels.keyring import InKeys, KeyRing
from session_service.labels.model import Label
from session_service.labels.schemas import KeyOut, KeysOut, LabelOut, RetireIn, ScannedOut, Verdict
from session_service.labels.token import CROCKFORD, KEY_ID_CHARS, LABEL_ID_CHARS, MAC_CHARS, LabelKeys, LabelParts
from session_service.operators.endpoints import InOperator

router = APIRouter(tags=["labels"])

KeyId = Annotated[str, Path(pattern=f"^[{CROCKFORD}]$")]
LabelId = Annotated[str, Path(pattern=f"^[{CROCKFORD}]{{{LABEL_ID_CHARS}}}$")]
Signature = Annotated[str, Path(pattern=f"^[{CROCKFORD}]{{{KEY_ID_CHARS + MAC_CHARS}}}$", description="key and mac")]
SUBJECT: Final = "label-key:{}"


@router.get("/v1/ops/label-keys")
async def every(context: InContext, keys: InKeys, _operator: InOperator) -> KeysOut:
    """List the keys that are accepted, and how many labels in force need each."""
    keys.refresh()
    return await context.database.read(lambda c: shown(c, keys))


@router.post("/v1/ops/label-keys/rotate", status_code=201, response_model=KeysOut)
async def rotate(context: InContext, keys: InKeys, operator: InOperator, named: OnceOf, wish: ReasonIn) -> Response:
    """Add a key that signs new labels from now on. Labels under older keys stay good until those are retired."""
    by = By(operator.actor, wish.reason, context.clock.now_ms())
    return await answer_once(context.database, named, by.now_ms, lambda c: Answer.of(201, add_key(c, keys, by)))


@router.post("/v1/ops/label-keys/{key_id}/retire", response_model=KeysOut)
async def retire(
    context: InContext, keys: InKeys, operator: InOperator, named: OnceOf, key_id: KeyId, wish: RetireIn
) -> Response:
    """Stop accepting a key. Refused while labels in force need it, unless ``force`` says that they may end."""
    by = By(operator.actor, wish.reason, context.clock.now_ms())
    return await answer_once(
        context.database,
        named,
        by.now_ms,
        lambda c: Answer.of(200, retire_key(c, keys, key_id, by, force=wish.force)),
    )


@router.get("/v1/ops/labels/{label_id}/signatures/{signature}")
async def scanned(
    context: InContext, keys: InKeys, _operator: InOperator, label_id: LabelId, signature: Signature
) -> ScannedOut:
    """Say of which device a label is whose address somebody has read, and whether it is genuine and in force.

    One that is not still says which device it claims to be of: that one is to be looked at.
    """
    host = token.canonical_host(context.settings.label_host)
    parts = LabelParts(host, label_id, signature[:KEY_ID_CHARS], signature[KEY_ID_CHARS:])
    label, number = await context.database.read(lambda c: service.look(c, label_id))
    return ScannedOut(label=LabelOut.of(label), number=number, verdict=_verdict(parts, keys(), label))


def _verdict(parts: LabelParts, keys: LabelKeys, label: Label) -> Verdict:
    try:
        service.ensure_genuine(parts, keys, label)
    except ForgedLabelError:
        return Verdict.FORGED
    except RevokedLabelError:
        return Verdict.REVOKED
    except SuspendedLabelError:
        return Verdict.SUSPENDED
    return Verdict.GENUINE


def shown(connection: Connection, keys: KeyRing) -> KeysOut:
    """Return the keys as they are."""
    counted, known = repository.in_force_by_key(connection), keys()
    return KeysOut(
        keys=[
            KeyOut(key_id=key_id, current=key_id == known.current, labels_in_force=counted.get(key_id, 0))
            for key_id in sorted(known.secrets)
        ]
    )


def add_key(connection: Connection, keys: KeyRing, by: By) -> KeysOut:
    """Add a key; the row in the audit and the file come together, the file last.

    Raises:
        LabelKeyError: it cannot be added.
    """
    subject = SUBJECT.format(keys.next_id())
    audit.record(connection, at_ms=by.now_ms, actor=by.actor, action="label_key.rotate", subject=subject, why=by.why)
    keys.rotate()
    return shown(connection, keys)


def retire_key(connection: Connection, keys: KeyRing, key_id: str, by: By, *, force: bool) -> KeysOut:
    """Retire a key.

    Raises:
        LabelKeyError: it is the current one, or none of ours.
        LabelKeyInUseError: labels in force need it, and ``force`` was not said.
    """
    keys.retirable(key_id)
    needed = repository.in_force_by_key(connection).get(key_id, 0)
    if needed and not force:
        msg = (
            f"{needed} labels in force carry a mac under key {key_id}, and would open nothing. Print new ones "
            f"for their devices first, or say force."
        )
        raise LabelKeyInUseError(msg, labels_in_force=needed)
    subject, why = SUBJECT.format(key_id), f"{by.why} ({needed} labels in force ended)" if needed else by.why
    audit.record(connection, at_ms=by.now_ms, actor=by.actor, action="label_key.retire", subject=subject, why=why)
    keys.retire(key_id)
    return shown(connection, keys)
