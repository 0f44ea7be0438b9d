"""Kinds of alerts and how grave each is: the one table of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

SITE_DOWN: Final = "site_down"
SILENT: Final = "silent"
BATTERY_LOW: Final = "battery_low"  # raised by the device itself, too
BATTERY_FORECAST: Final = "battery_forecast"
CLEANING_OVERDUE: Final = "cleaning_overdue"
CERTIFICATE_EXPIRING: Final = "certificate_expiring"
CERTIFICATE_EXPIRED: Final = "certificate_expired"
OUTBOX_GROWING: Final = "outbox_growing"
HELD_TOO_LONG: Final = "held_too_long"


class Severity(StrEnum):
    """How grave an alert is, the gravest first."""

    CRITICAL = "critical"  # somebody may be harmed, or something stolen: now
    MAJOR = "major"  # the device earns nothing or charges wrongly: today
    MINOR = "minor"  # it will be major if nobody does anything: this week
    INFO = "info"  # worth knowing


class Grave(NamedTuple):
    """How grave a kind is, and why."""

    severity: Severity
    why: str


TABLE: Final[dict[str, Grave]] = {
    # by what the device's senses say
    "tampered": Grave(Severity.CRITICAL, "the bolt opened and nobody had ordered it: it is being stolen"),
    "occupied": Grave(Severity.CRITICAL, "a pod was paid for and left, and somebody may still be inside"),
    "jammed": Grave(Severity.MAJOR, "the lock does not move: riders are turned away, or cannot give it back"),
    BATTERY_LOW: Grave(Severity.MAJOR, "within days it neither opens nor says where it is"),
    # by what its labels' scans say
    "label_wrong_device": Grave(Severity.CRITICAL, "a rider paid and another thing opened: labels may be swapped"),
    "label_two_places": Grave(Severity.CRITICAL, "the label exists twice: one of the two is forged"),
    "label_far": Grave(Severity.MAJOR, "the label is not where its device is: it may be on another thing"),
    # by who it is
    "cloned_identity": Grave(Severity.CRITICAL, "two machines have its keys"),
    "command_keys": Grave(Severity.MAJOR, "it obeys only keys that are lost: it cannot be opened"),
    CERTIFICATE_EXPIRED: Grave(Severity.MAJOR, "the broker turns it away: it cannot be let"),
    CERTIFICATE_EXPIRING: Grave(Severity.MINOR, "it should have renewed it by now, and it ends soon"),
    # by its rides
    "opened_after_end": Grave(Severity.MAJOR, "it opened for a session that was over, and nobody has it"),
    "unlocked_after_release": Grave(Severity.MAJOR, "it opened for a rider whose hold had been released"),
    "lock_unconfirmed": Grave(Severity.MAJOR, "a rider pressed Finish and the lock did not confirm"),
    "past_cap": Grave(Severity.MAJOR, "a ride has no end: the thing may be lost"),
    "another_one_opened": Grave(Severity.MAJOR, "a rider says that another thing opened"),
    "did_not_open": Grave(Severity.MAJOR, "a rider says that it did not open"),
    "broken": Grave(Severity.MAJOR, "a rider says that it is broken; it is in maintenance"),
    "undone": Grave(Severity.MINOR, "opened and shut again at once: riders do not like what they find"),
    "report_without_effect": Grave(Severity.MINOR, "a report could not be used: software, rather than the thing"),
    # by the watch
    SITE_DOWN: Grave(Severity.MAJOR, "most devices of a site fell silent together: power or network is gone there"),
    SILENT: Grave(Severity.MAJOR, "it gives no sign of life: it cannot be let, and may be gone"),
    BATTERY_FORECAST: Grave(Severity.MINOR, "at this rate its battery is empty within the time of one round"),
    CLEANING_OVERDUE: Grave(Severity.MINOR, "it waits to be cleaned and earns nothing"),
    HELD_TOO_LONG: Grave(Severity.MINOR, "it waits for somebody to look and earns nothing"),
    OUTBOX_GROWING: Grave(Severity.MINOR, "its reports do not get through: rides end late"),
}
OTHERS: Final = Grave(Severity.MAJOR, "nobody has said how grave this kind is, so somebody should look")


def severity_of(kind: str) -> Severity:
    """Return how grave an alert of a kind is; one that the table has not is major."""
    return TABLE.get(kind, OTHERS).severity
