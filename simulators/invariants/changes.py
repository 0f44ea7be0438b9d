"""Who changed what: invariant 7."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from typing import Final

from simulators.invariants.chain import broken_links
from simulators.invariants.world import World

ULID_CHARS: Final = 26
BIRTH: Final = "requested"
"""From where a session's first move starts; it is never stored as a state."""


def changes_audited(world: World) -> Iterator[str]:
    """7. One audit row for every change that a person or a rule made."""
    yield from chain(_broken_histories(world), broken_links(world.books.audit), _unaudited(world), _alone(world))


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
    """Yield what a person or a rule did, and for which the audit has no row of that subject and moment."""
    rows = {(row.subject, row.at_ms) for row in world.books.audit}
    yield from (f"audit of {row.subject} at {row.at_ms}: nobody did it" for row in world.books.audit if not row.actor)
    changes = (
        _device_changes,
        _label_changes,
        _operator_changes,
        _orders_of_operators,
        _approvals,
        _alert_changes,
        _visit_notes,
    )
    for subject, at_ms, what in chain.from_iterable(changed(world) for changed in changes):
        if (subject, at_ms) not in rows:
            yield f"{subject} {what} at {at_ms}: no audit row"
    acts = {(row.subject, row.actor) for row in world.books.audit}
    for event in world.books.events:
        if event.actor.startswith("operator:") and (f"session:{event.session_id}", event.actor) not in acts:
            yield f"session {event.session_id} {event.event} by {event.actor}: no audit row"


def _device_changes(world: World) -> Iterator[tuple[str, int, str]]:
    for device in world.books.devices:
        yield f"device:{device.id}", device.created_at_ms, "was registered"
        if device.service_since_ms > device.created_at_ms:
            yield f"device:{device.id}", device.service_since_ms, f"became {device.service}"


def _label_changes(world: World) -> Iterator[tuple[str, int, str]]:
    for label in world.books.labels:
        yield f"label:{label.id}", label.minted_at_ms, "was minted"
        if label.revoked_at_ms is not None:
            yield f"label:{label.id}", label.revoked_at_ms, "was revoked"


def _operator_changes(world: World) -> Iterator[tuple[str, int, str]]:
    for operator in world.books.operators:
        yield f"operator:{operator.id}", operator.created_at_ms, "was added"
        if operator.revoked_at_ms is not None:
            yield f"operator:{operator.id}", operator.revoked_at_ms, "was revoked"


def _approvals(world: World) -> Iterator[tuple[str, int, str]]:
    for approval in world.books.approvals:
        yield f"device:{approval.device_id}", approval.asked_at_ms, f"waited for a second person, {approval.id}"
        if approval.decided_at_ms is not None:
            yield f"device:{approval.device_id}", approval.decided_at_ms, f"was decided on, {approval.id}"


def _alert_changes(world: World) -> Iterator[tuple[str, int, str]]:
    """Yield what people did about alerts; what rules raise and end is told by the alerts themselves."""
    for alert in world.books.alerts:
        subject = f"alert:{alert.id}" if alert.device_id is None else f"device:{alert.device_id}"
        if alert.acknowledged_at_ms is not None:
            yield subject, alert.acknowledged_at_ms, f"had alert {alert.id} acknowledged"
        if alert.cleared_by is not None and alert.cleared_by.startswith("operator:"):
            yield subject, alert.cleared_at_ms, f"had alert {alert.id} cleared"


def _visit_notes(world: World) -> Iterator[tuple[str, int, str]]:
    for note in world.books.notes:
        kind = "alert" if len(note.stop) == ULID_CHARS else "device"  # a site goes by its alert
        yield f"{kind}:{note.stop}", note.at_ms, "was written about"


def _alone(world: World) -> Iterator[str]:
    """Yield orders to which one person agreed twice."""
    for command in world.books.commands:
        if command.approved_by is not None and command.approved_by == command.asked_by:
            yield f"command {command.id}: {command.asked_by} both asked and approved"


def _orders_of_operators(world: World) -> Iterator[tuple[str, int, str]]:
    for command in world.books.commands:
        if command.asked_by.startswith("operator:"):
            yield f"device:{command.device_id}", command.created_at_ms, f"was ordered to {command.action}"
