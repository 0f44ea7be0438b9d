"""The evidence check: every charge, and every release that names evidence, against the signed reports themselves.

It believes nothing that the service has written down but the public keys of the devices: a report counts if its
device has signed it, and a move counts if the report says what the move claims. What the signature does not cover is
when a report is true in our time; that is held against the device's own uptime, which is signed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from broker.contract import jws, keys
from broker.contract.envelope import RejectedError, open_sealed
from broker.contract.jws import PublicKey
from broker.contract.messages import CommandReport, Report
from session_service.fleet import proofs_repository as repository
from session_service.fleet.claims import CLAIMS
from session_service.fleet.model import ReportRow
from session_service.fleet.proofs_repository import Case, Name
from session_service.pki.model import DeviceKey
from session_service.pricing.tariff import fare
from session_service.sessions.machine import Event, SessionState
from session_service.sessions.model import SessionEvent
from session_service.sessions.moves import tariff_of

DATING_MS: Final = 120_000  # heartbeats that are late by so much make a device offline; a ride is not dated worse
KEY_CHANGE_MS: Final = 60_000  # a report that came while its device's key was being changed
ROUNDING_MS: Final = 1  # civil time is real time times a factor, in whole milliseconds
ENDS: Final = frozenset({Event.LOCKED, Event.LOCKED_LATE, Event.ENDED_BY_OPERATOR, Event.DECIDED, Event.DISOWNED})


@dataclass(slots=True)
class Findings:
    """What was looked at, and what is wrong."""

    sessions: int = 0
    charged: int = 0
    released: int = 0
    reports: set[Name] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """Return what was looked at, in a line."""
        return (
            f"{self.sessions} sessions, {self.charged} of them charged and {self.released} released on evidence; "
            f"{len(self.reports)} reports, signed by {len(self.keys)} keys"
        )


@dataclass(frozen=True, slots=True)
class Proof:
    """A report whose signature is good, and the row that it came in."""

    report: Report
    row: ReportRow


def check(connection: Connection, *, civil_speed: float = 1.0) -> Findings:
    """Check every session; ``civil_speed`` is the installation's. Reads only."""
    checker = _Checker(connection, civil_speed)
    for case in repository.cases(connection):
        checker.session(case)
    return checker.findings


class _Checker:
    def __init__(self, connection: Connection, civil_speed: float) -> None:
        self.findings = Findings()
        self._connection = connection
        self._speed = civil_speed
        self._keys: dict[str, list[tuple[DeviceKey, PublicKey]]] = {}

    def session(self, case: Case) -> None:
        """Check one session."""
        found = self.findings
        found.sessions += 1
        said = [f"session {case.session.id}: {words}" for words in self._problems(case)]
        found.violations += said

    def _problems(self, case: Case) -> Iterator[str]:
        proofs: dict[int, Proof] = {}
        for event in case.events:
            if event.journal_id is None and event.report_seq is None:
                if Event(event.event) in CLAIMS:
                    yield f"{event.event} ({event.seq}) names no report"
                continue
            try:
                proofs[event.seq] = self._proof(case, event)
            except _WrongError as wrong:
                yield f"{event.event} ({event.seq}), report {event.journal_id}/{event.report_seq}: {wrong}"
        if case.session.fare_minor or case.taken_minor:
            self.findings.charged += 1
            yield from self._charge(case, proofs)
        elif case.session.state == SessionState.NOT_UNLOCKED and proofs:
            self.findings.released += 1

    # -- A move and the report that it names

    def _proof(self, case: Case, event: SessionEvent) -> Proof:
        row = case.reports.get((str(event.journal_id), event.report_seq or 0))
        if row is None:
            msg = "it is not stored"
            raise _WrongError(msg)
        proof = Proof(self._opened(row), row)
        _hold_against_row(proof)
        if row.device_id != case.session.device_id or event.actor != f"device:{row.device_id}":
            msg = f"it is {row.device_id}'s, the session is {case.session.device_id}'s, by {event.actor}"
            raise _WrongError(msg)
        claim = CLAIMS.get(Event(event.event))
        if claim is not None and not claim(case, proof.report):
            msg = f"it does not say {event.event} of this session"
            raise _WrongError(msg)
        self._hold_against_time(case, event, row)
        return proof

    def _opened(self, row: ReportRow) -> Report:
        try:
            kid = jws.take_apart(row.token.encode()).header.kid
            key_id, key = self._key(row, kid)
            report = open_sealed(row.token.encode(), Report, lambda _: key)
        except (ValueError, RejectedError) as error:
            msg = f"its device has not signed it ({error})"
            raise _WrongError(msg) from error
        self.findings.reports.add((row.journal_id, row.seq))
        self.findings.keys.add(key_id)
        return report

    def _key(self, row: ReportRow, kid: str) -> tuple[str, PublicKey]:
        """Return the key that was the device's when the report came; of two, the one that the report names."""
        if row.device_id not in self._keys:
            history = repository.keys_of(self._connection, row.device_id)
            self._keys[row.device_id] = [(entry, keys.load_public(entry.pem)) for entry in history]
        then = [(entry, key) for entry, key in self._keys[row.device_id] if _was_valid(entry, row.received_at_ms)]
        for entry, key in then:
            if entry.key_id == kid:
                return entry.key_id, key
        if not then:
            msg = "its device had no key then"
            raise _WrongError(msg)
        return then[0][0].key_id, then[0][1]

    def _hold_against_time(self, case: Case, event: SessionEvent, row: ReportRow) -> None:
        session = case.session
        real_ms = max(session.created_at_real_ms, min(row.at_ms, event.at_real_ms))
        civil_ms = session.requested_at_ms + (real_ms - session.created_at_real_ms) * self._speed
        if abs(civil_ms - event.at_ms) > ROUNDING_MS:
            msg = f"it speaks of {civil_ms:.0f}, the session of {event.at_ms}"
            raise _WrongError(msg)

    # -- A charge

    def _charge(self, case: Case, proofs: dict[int, Proof]) -> Iterator[str]:
        session = case.session
        begin = next((event for event in case.events if event.event == Event.UNLOCKED), None)
        end = next((event for event in reversed(case.events) if event.event in ENDS), None)
        if case.taken_minor != session.fare_minor and (case.taken_minor or session.paid_minor):
            yield f"its fare is {session.fare_minor}, the ledger took {case.taken_minor}"
        if begin is None or begin.seq not in proofs:
            yield f"a charge of {session.fare_minor or case.taken_minor}, and nothing signed proves an unlock"
            return
        if end is None or session.started_at_ms is None or session.ended_at_ms is None:
            yield f"a charge of {session.fare_minor or case.taken_minor} before its end"
            return
        if session.started_at_ms != begin.at_ms:
            yield f"charged from {session.started_at_ms}, unlocked at {begin.at_ms}"
        yield from self._end(case, end, proofs)
        whole = fare(tariff_of(session), session.started_at_ms, session.ended_at_ms).total_minor
        if session.fare_minor != whole:
            yield f"its fare is {session.fare_minor}, its tariff and times make {whole}"
        yield from _longer_than_the_devices_own_time(proofs[begin.seq], proofs)

    def _end(self, case: Case, end: SessionEvent, proofs: dict[int, Proof]) -> Iterator[str]:
        session, ended_ms = case.session, case.session.ended_at_ms
        started_ms, finish_ms = session.started_at_ms or 0, session.finish_requested_at_ms
        match Event(end.event):
            case Event.LOCKED if finish_ms is not None and not _used_after(case, finish_ms, proofs):
                right = [min(end.at_ms, finish_ms)]
            case Event.LOCKED | Event.LOCKED_LATE | Event.DECIDED:
                right = [end.at_ms]
            case Event.ENDED_BY_OPERATOR:
                right = self._up_to_an_operators_word(case, end)
            case _:
                right = []  # of what costs nothing
        if ended_ms not in {max(started_ms, moment) for moment in right}:
            yield f"charged until {ended_ms}, and {end.event} at {end.at_ms} does not make that the end"

    def _up_to_an_operators_word(self, case: Case, end: SessionEvent) -> list[int]:
        """Return the moments at which an operator's word may end a ride: Finish, or what a signed report speaks of."""
        session = case.session
        last_ms = end.at_ms if session.finish_requested_at_ms is None else session.finish_requested_at_ms
        seen = repository.reports_between(
            self._connection, session.device_id, session.created_at_real_ms, end.at_real_ms
        )
        moments = [last_ms, *(e.at_ms for e in case.events if e.event in {Event.UNLOCKED, Event.USED_ON})]
        for row in seen:
            moment = session.requested_at_ms + (row.at_ms - session.created_at_real_ms) * self._speed
            if session.ended_at_ms is not None and abs(moment - session.ended_at_ms) <= ROUNDING_MS:
                self._opened(row)
                moments.append(session.ended_at_ms)
        return [moment for moment in moments if moment <= last_ms]


class _WrongError(Exception):
    """A report does not bear out what is claimed of it."""


def _was_valid(key: DeviceKey, at_ms: int) -> bool:
    ended_ms = at_ms if key.ended_at_ms is None else key.ended_at_ms
    return key.valid_from_ms - KEY_CHANGE_MS <= at_ms <= ended_ms + KEY_CHANGE_MS


def _hold_against_row(proof: Proof) -> None:
    report, row = proof.report, proof.row
    command_id = report.body.command_id if isinstance(report.body, CommandReport) else None
    kind = str(report.body.__struct_config__.tag)
    signed = (report.journal_id, report.seq, report.device, report.boot_id, report.uptime_ms, kind, command_id)
    stored = (row.journal_id, row.seq, row.device_id, row.boot_id, row.uptime_ms, row.kind, row.command_id)
    if signed != stored:
        msg = f"stored as {stored}, signed as {signed}"
        raise _WrongError(msg)
    if row.at_ms > row.received_at_ms:
        msg = f"it came at {row.received_at_ms} and speaks of {row.at_ms}"
        raise _WrongError(msg)


def _used_after(case: Case, finish_ms: int, proofs: dict[int, Proof]) -> bool:
    return any(e.event == Event.USED_ON and e.seq in proofs and e.at_ms > finish_ms for e in case.events)


def _longer_than_the_devices_own_time(begin: Proof, proofs: dict[int, Proof]) -> Iterator[str]:
    """Yield where our dates are further apart than the uptimes that the device has signed."""
    for proof in proofs.values():
        if proof.row.boot_id != begin.row.boot_id:
            continue
        ours_ms = proof.row.at_ms - begin.row.at_ms
        signed_ms = proof.report.uptime_ms - begin.report.uptime_ms
        if ours_ms > signed_ms + DATING_MS:
            yield f"{ours_ms} ms between reports {begin.row.seq} and {proof.row.seq}, by the device's clock {signed_ms}"
