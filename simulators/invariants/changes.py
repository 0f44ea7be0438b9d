"""Who changed what: invariant 7."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from typing import Final

from simulators.invariants import alerts, passkeys
from simulators.invariants.chain import broken_links
from simulators.invariants.world import Change, World

BIRTH: Final = "requested"
"""From where a session's first move starts; it is never stored as a state."""


def changes_audited(world: World) -> Iterator[str]:
    """7. One audit row for every change that a person or a rule made."""
    yield from chain(_broken_histories(world), broken_links(world.books.audit), _unaudited(world), _alone(world))
    yield from chain(alerts.uncounted(world), alerts.half_done(world), passkeys.gone(world))


def _broken_histories(world: World) -> Iterator[str]:
    """Yield sessions whose events do not tell, move by move and with a name, how they came to their state."""
    history = defaultdict(list)
    for event in world.books.events:
        history[event.session_id].append(event)
        if not event.actor:
            yield f"session {event.session_id} event {event.seq}: nobody did it"
    for session in world.books.sessions:
        events = history[session.id]
        states = [BIRTH, *(event.to_state for event in events)]
        if [event.from_state for event in events] != states[:-1] or states[-1] != session.state:
            yield f"session {session.id} is {session.state}, its events tell {' '.join(states)}"
        if [event.seq for event in events] != list(range(1, session.version + 1)):
            yield f"session {session.id}: version {session.version}, events {[event.seq for event in events]}"


def _unaudited(world: World) -> Iterator[str]:
    """Yield what a person or a rule did, and for which the audit has no row of that subject, moment and action."""
    rows = defaultdict(list)
    for row in world.books.audit:
        rows[row.subject, row.at_ms].append(row.action)
        if not row.actor:
            yield f"audit of {row.subject} at {row.at_ms}: nobody did it"
    for change in chain.from_iterable(changed(world) for changed in _CHANGES):
        if not any(action.startswith(change.action) for action in rows[change.subject, change.at_ms]):
            yield f"{change.subject} {change.what} at {change.at_ms}: no audit row of {change.action}"
    acts = {(row.subject, row.actor) for row in world.books.audit}
    for event in world.books.events:
        if event.actor.startswith("operator:") and (f"session:{event.session_id}", event.actor) not in acts:
            yield f"session {event.session_id} {event.event} by {event.actor}: no audit row"


def _device_changes(world: World) -> Iterator[Change]:
    for device in world.books.devices:
        yield Change(f"device:{device.id}", device.created_at_ms, "device.register", "was registered")
        if device.service_since_ms > device.created_at_ms:
            yield Change(f"device:{device.id}", device.service_since_ms, "device.", f"became {device.service}")


def _label_changes(world: World) -> Iterator[Change]:
    for label in world.books.labels:
        yield Change(f"label:{label.id}", label.minted_at_ms, "label.mint", "was minted")
        if label.revoked_at_ms is not None:
            yield Change(f"label:{label.id}", label.revoked_at_ms, "label.revoke", "was revoked")


def _operator_changes(world: World) -> Iterator[Change]:
    for operator in world.books.operators:
        yield Change(f"operator:{operator.id}", operator.created_at_ms, "operator.add", "was added")
        if operator.revoked_at_ms is not None:
            yield Change(f"operator:{operator.id}", operator.revoked_at_ms, "operator.revoke", "was revoked")


def _approvals(world: World) -> Iterator[Change]:
    for approval in world.books.approvals:
        subject, name = f"device:{approval.device_id}", f"a second person, {approval.id}"
        yield Change(subject, approval.asked_at_ms, "approval.ask", f"waited for {name}")
        if approval.decided_at_ms is not None:
            yield Change(subject, approval.decided_at_ms, "approval.", f"was decided on by {name}")


def _orders_of_operators(world: World) -> Iterator[Change]:
    for command in world.books.commands:
        if command.asked_by.startswith("operator:"):
            what = f"was ordered to {command.action}"
            yield Change(f"device:{command.device_id}", command.created_at_ms, f"command {command.action}", what)


_CHANGES: Final = (
    _device_changes,
    _label_changes,
    _operator_changes,
    _orders_of_operators,
    _approvals,
    alerts.changes,
    passkeys.changes,
)


def _alone(world: World) -> Iterator[str]:
    """Yield orders to which one person agreed twice."""
    for command in world.books.commands:
        if command.approved_by is not None and command.approved_by == command.asked_by:
            yield f"command {command.id}: {command.asked_by} both asked and approved"
