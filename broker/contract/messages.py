"""The payloads of the contract, as msgspec structs (DESIGN 3; prose and examples in ``broker/README.md``).

A reader ignores fields it does not know and refuses a ``version`` above its own: additions need no new version,
a change of meaning does. Every ``*_uptime_ms`` is milliseconds since the boot named by ``boot_id``.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from msgspec import Meta, Struct

from broker.contract.codes import Action, Bolt, Cause, Fault, Reason, Result

VERSION: Final = 1
"""The version of every message written by this code."""

MAX_MESSAGE_BYTES: Final = 4_096
"""Longest signed message. The longest real one has 1.2 kB; the broker's packet limit is set from this."""

MAX_COMMAND_KEYS: Final = 4
"""Keys in one configuration: the current one, the next, one that lies in a safe, and one on its way out."""

# \Z, because a $ would let a line feed stand at the end.
Id = Annotated[str, Meta(min_length=10, max_length=36, pattern=r"\A[0-9A-Za-z-]+\Z")]
DeviceId = Annotated[str, Meta(pattern=r"\A[0-9A-HJKMNP-TV-Z]{10}\Z")]
Version = Annotated[int, Meta(ge=1)]
# 2**53 - 1: the largest whole number that every JSON reader keeps exactly.
Count = Annotated[int, Meta(ge=0, le=9_007_199_254_740_991)]
Seq = Annotated[int, Meta(ge=1, le=9_007_199_254_740_991)]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Percent = Annotated[int, Meta(ge=0, le=100)]
Dbm = Annotated[int, Meta(ge=-200, le=0)]
Celsius = Annotated[float, Meta(ge=-100, le=200)]


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of the messages that are signed; ``TYPE`` stands in the envelope, so that no kind passes for another."""

    TYPE: ClassVar[str]

    version: Version


class Command(Message, frozen=True, kw_only=True, omit_defaults=True):
    """One order to one device.

    Attributes:
        id: the command's id; a retry reuses it, and the device moves at most once for it.
        boot_id: the boot for which ``expires_uptime_ms`` was reckoned; under another one the order is refused.
        expires_uptime_ms: the device's own uptime after which it must refuse.
        exp: Unix time in seconds, checked only where the device knows that its wall clock is right.
        cancels: for ``Action.CANCEL``, the id of the command that must not be carried out any more.
    """

    TYPE: ClassVar[str] = "unlatch-cmd"

    id: Id
    device: DeviceId
    action: Action
    boot_id: Id
    expires_uptime_ms: Count
    exp: Count | None = None
    cancels: Id | None = None


class Position(Struct, frozen=True, kw_only=True):
    """WGS 84, degrees; ``accuracy_m`` is the radius that holds the true place with 68 %."""

    lat: Latitude
    lon: Longitude
    accuracy_m: float = 10.0


class Status(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the device's senses say at one moment; ``None`` where it has no such sense."""

    bolt: Bolt
    door_shut: bool | None = None
    occupied: bool | None = None
    battery_percent: Percent | None = None
    position: Position | None = None


class CommandReport(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="command"):
    """A command's outcome. ``moved`` says whether the lock was driven at all, whatever came of it."""

    command_id: Id
    action: Action
    result: Result
    accepted_uptime_ms: Count
    moved: bool = False
    reason: Reason | None = None


class BoltReport(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="bolt"):
    """The bolt moved without a command; where it is now stands in the report's status.

    Attributes:
        inside: the hand was at the handle inside, which always opens; with ``Cause.HAND`` alone.
    """

    cause: Cause
    inside: bool = False


class BootReport(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="boot"):
    """The agent started; the status says how it found the lock."""

    agent_version: str


class MovedReport(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="moved"):
    """The device stands somewhere else than in its last report, by more than its sensor's error."""


class FaultReport(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="fault"):
    """Something is wrong with the device."""

    fault: Fault


Body = CommandReport | BoltReport | BootReport | MovedReport | FaultReport


class Report(Message, frozen=True, kw_only=True, omit_defaults=True):
    """One numbered statement by a device; ``(journal_id, seq)`` names it for good.

    Attributes:
        journal_id: random name of the device's journal; a new card has a new one, and counts from 1 again.
        seq: place in that journal; goes on over reboots, without gaps.
        uptime_ms: when the body became true, in the device's own time.
    """

    TYPE: ClassVar[str] = "unlatch-rpt"

    device: DeviceId
    journal_id: Id
    seq: Seq
    boot_id: Id
    uptime_ms: Count
    status: Status
    body: Body


class Heartbeat(Message, frozen=True, kw_only=True, omit_defaults=True):
    """A sign of life. It dates the device's uptime for the service, and is never evidence.

    Attributes:
        last_seq: number of the newest report in the journal, 0 for none.
        outbox_depth: reports that wait for an acknowledgement.
        dropped: telemetry that was never numbered because the outbox was too full, since boot.
        config_revision: of the configuration in force, 0 for that with which the device was set up.
        signal_dbm: strength of the radio's signal; absent where the device cannot tell.
        temperature_c: inside of its case, in degrees Celsius; absent where it has no such sense.
    """

    TYPE: ClassVar[str] = "unlatch-hb"

    device: DeviceId
    boot_id: Id
    uptime_ms: Count
    journal_id: Id
    last_seq: Count
    outbox_depth: Count
    dropped: Count = 0
    config_revision: Count = 0
    status: Status
    agent_version: str
    signal_dbm: Dbm | None = None
    temperature_c: Celsius | None = None


class ReportAck(Message, frozen=True, kw_only=True, omit_defaults=True):
    """The service has stored every report of ``journal_id`` up to ``acked_through`` (0: none).

    Signed like a command: a forged one would make the device forget evidence that nobody has.
    """

    TYPE: ClassVar[str] = "unlatch-rak"

    device: DeviceId
    journal_id: Id
    acked_through: Count


class Config(Message, frozen=True, kw_only=True, omit_defaults=True):
    """What a device shall be set to from now on, as a whole; it replaces the configuration before.

    Attributes:
        revision: counts up for each device; one that is not above the device's own is old, and ignored.
        command_keys: public keys (PEM, Ed25519) by key id that may sign commands, acknowledgements and the next
            configuration. A key that is missing here counts no more.
    """

    TYPE: ClassVar[str] = "unlatch-cfg"

    device: DeviceId
    revision: Seq
    command_keys: Annotated[dict[str, str], Meta(min_length=1, max_length=MAX_COMMAND_KEYS)]


class Presence(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Birth and last will, retained and unsigned: a hint that a heartbeat or its absence confirms."""

    version: Version
    online: bool
    boot_id: Id
