"""How locks are wired, and what each needs: solenoid, motor, servo and strike, as the settings say it.

Each number is a starting value for a common part; its reason stands beside it. The data sheet of the part in hand wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, ClassVar, Final, Protocol

from msgspec import Meta, Struct

from broker.contract.codes import Action, Bolt
from broker.contract.messages import Status

PULSE_LIMIT_MS: Final = 1_000  # coils of locks are wound for short pulses; above that they smell
LEAST_TURN_US: Final = 100  # a tenth of a quarter turn: no bolt has a way as short as that
Line = Annotated[int, Meta(ge=0, le=511)]
Pulse = Annotated[int, Meta(ge=50, le=PULSE_LIMIT_MS)]
Run = Annotated[int, Meta(ge=100, le=10_000)]
PulseUs = Annotated[int, Meta(ge=500, le=2_500)]  # beyond it a servo runs against its stop, or not at all
Duty = Annotated[int, Meta(ge=1, le=100)]
Tries = Annotated[int, Meta(ge=1, le=5)]
Read = Callable[[str], bool]


class Course(Struct, frozen=True):
    """How a lock is driven for one action: an output, how long at a time, how often, and the pauses between.

    Attributes:
        gaps_ms: before the second try, the third, and so on.
        whole: it is on for the whole time, because the sensor says where the bolt has left, not where it arrives.
    """

    output: str
    on_ms: int
    gaps_ms: tuple[int, ...] = ()
    whole: bool = False


class Pin(Struct, frozen=True, forbid_unknown_fields=True):
    """A line of the chip.

    Attributes:
        line: its number on the chip; on a Raspberry Pi that of ``GPIO17``.
        active_low: on when the wire is low, as switches to ground with a pull-up are.
    """

    line: Line
    active_low: bool = False


class Wiring(Protocol):
    """One kind of lock. Its fields of type ``Pin`` are named as its outputs and sensors are.

    Two sensors mean the same for every kind: ``door`` is on while the door is shut, and ``inside`` while somebody is at
    the handle inside, which opens without any of this.
    """

    outputs: ClassVar[tuple[str, ...]]
    sensors: ClassVar[tuple[str, ...]]
    actions: ClassVar[frozenset[Action]]

    @property
    def duty_percent(self) -> int:
        """Return how much of the time it may be on."""
        ...

    def course(self, action: Action) -> Course:
        """Return how it is driven."""
        ...

    def status(self, read: Read) -> Status:
        """Return what the sensors say."""
        ...


class Solenoid(Struct, frozen=True, kw_only=True, tag_field="driver", tag="solenoid", forbid_unknown_fields=True):
    """A solenoid or cam lock: a pulse draws the bolt, a spring throws the lever, a hand closes it.

    Attributes:
        bolt: closed while it is on.
        pulse_ms: 300 to 800 open what is sold for lockers; shorter ones fail in the cold.
        tries, gap_ms: a bolt under load gives way when somebody leans differently; the pauses double.
        duty_percent: what their data sheets allow.
    """

    outputs: ClassVar[tuple[str, ...]] = ("coil",)
    sensors: ClassVar[tuple[str, ...]] = ("bolt",)
    actions: ClassVar[frozenset[Action]] = frozenset({Action.UNLOCK, Action.SELF_TEST})

    coil: Pin
    bolt: Pin
    door: Pin | None = None
    pulse_ms: Pulse = 500
    tries: Tries = 3
    gap_ms: Run = 400
    duty_percent: Duty = 10

    def course(self, _action: Action) -> Course:
        """See ``Wiring``."""
        return Course("coil", self.pulse_ms, _doubling(self.gap_ms, self.tries))

    def status(self, read: Read) -> Status:
        """See ``Wiring``."""
        return Status(bolt=Bolt.CLOSED if read("bolt") else Bolt.OPEN, door_shut=_door(self.door, read))


class Motor(Struct, frozen=True, kw_only=True, tag_field="driver", tag="motor", forbid_unknown_fields=True):
    """A motor lock with a switch at each end of the bolt's way; opens and closes.

    Attributes:
        stall_ms: the way takes one to three seconds; a motor that stands still for longer burns its winding.
        duty_percent: a geared motor cools better than a coil.
    """

    outputs: ClassVar[tuple[str, ...]] = ("open_motor", "close_motor")
    sensors: ClassVar[tuple[str, ...]] = ("open_end", "closed_end")
    actions: ClassVar[frozenset[Action]] = frozenset({Action.UNLOCK, Action.LOCK, Action.SELF_TEST})

    open_motor: Pin
    close_motor: Pin
    open_end: Pin
    closed_end: Pin
    door: Pin | None = None
    inside: Pin | None = None
    stall_ms: Run = 3_000
    duty_percent: Duty = 25

    def course(self, action: Action) -> Course:
        """See ``Wiring``."""
        return Course("open_motor" if action is Action.UNLOCK else "close_motor", self.stall_ms)

    def status(self, read: Read) -> Status:
        """See ``Wiring``. Between its ends, and where both switches are on, nobody knows where the bolt is."""
        ends = read("open_end"), read("closed_end")
        bolt = {(True, False): Bolt.OPEN, (False, True): Bolt.CLOSED}.get(ends, Bolt.UNKNOWN)
        return Status(bolt=bolt, door_shut=_door(self.door, read))


class Signal(Struct, frozen=True, forbid_unknown_fields=True):
    """The PWM channel that a servo hears.

    Attributes:
        channel: on a Pi 5 GPIO12, 13, 18 and 19 are 0 to 3; on the others GPIO12 and 18 are 0, 13 and 19 are 1.
        chip: folder of the PWM, where it is not that of the header.
    """

    channel: Annotated[int, Meta(ge=0, le=15)]
    chip: str | None = None


class Servo(Struct, frozen=True, kw_only=True, tag_field="driver", tag="servo", forbid_unknown_fields=True):
    """A servo that turns a bolt to and fro, with a switch that says where the bolt is.

    Its signal is there while it moves and at no other time: a servo that is told to stay draws current, hums and wears.

    Attributes:
        bolt: closed while it is on.
        open_us, closed_us: the pulses for the two ends; 1,000 to 2,000 is what every servo takes.
        move_ms: a quarter turn takes 200 to 500 under load; then it is off, whatever the switch says.
        tries: the second one begins where the first has let go.
        duty_percent: against an obstacle it draws its stall current, and its plastic case keeps the heat.
    """

    outputs: ClassVar[tuple[str, ...]] = ("to_open", "to_closed")
    sensors: ClassVar[tuple[str, ...]] = ("bolt",)
    actions: ClassVar[frozenset[Action]] = frozenset({Action.UNLOCK, Action.LOCK, Action.SELF_TEST})

    signal: Signal
    bolt: Pin
    door: Pin | None = None
    inside: Pin | None = None
    open_us: PulseUs = 2_000
    closed_us: PulseUs = 1_000
    move_ms: Run = 800
    tries: Annotated[int, Meta(ge=1, le=3)] = 2
    gap_ms: Run = 300
    duty_percent: Duty = 10

    def course(self, action: Action) -> Course:
        """See ``Wiring``."""
        opens = action is Action.UNLOCK
        return Course(
            "to_open" if opens else "to_closed", self.move_ms, _doubling(self.gap_ms, self.tries), whole=opens
        )

    def status(self, read: Read) -> Status:
        """See ``Wiring``."""
        return Status(bolt=Bolt.CLOSED if read("bolt") else Bolt.OPEN, door_shut=_door(self.door, read))


class Strike(Struct, frozen=True, kw_only=True, tag_field="driver", tag="strike", forbid_unknown_fields=True):
    """An electric strike, fail-secure outside; from inside the handle opens it without any of this.

    It is open when the door is: while it is released and nobody has pulled, nobody is in.

    Attributes:
        door: shut while it is on.
        release_ms: as long as somebody needs to pull; the coil takes a second at a time.
        gap_ms: short, so that who pulls early feels it give way.
    """

    outputs: ClassVar[tuple[str, ...]] = ("strike",)
    sensors: ClassVar[tuple[str, ...]] = ("door",)
    actions: ClassVar[frozenset[Action]] = frozenset({Action.UNLOCK, Action.SELF_TEST})

    strike: Pin
    door: Pin
    inside: Pin | None = None
    release_ms: Pulse = 1_000
    tries: Tries = 3
    gap_ms: Run = 200
    duty_percent: Duty = 10

    def course(self, _action: Action) -> Course:
        """See ``Wiring``."""
        return Course("strike", self.release_ms, _doubling(self.gap_ms, self.tries))

    def status(self, read: Read) -> Status:
        """See ``Wiring``."""
        shut = read("door")
        return Status(bolt=Bolt.CLOSED if shut else Bolt.OPEN, door_shut=shut)


def lines_of(wiring: Wiring) -> tuple[dict[str, Pin], dict[str, Pin]]:
    """Return the outputs and the sensors of a wiring, by name; an optional sensor that is not wired is left out."""
    wired = {name: pin for name in wiring.__struct_fields__ if isinstance(pin := getattr(wiring, name), Pin)}  # type: ignore[attr-defined]
    outputs = {name: pin for name, pin in wired.items() if name in wiring.outputs}
    return outputs, {name: pin for name, pin in wired.items() if name not in wiring.outputs}


def wrong(wiring: Wiring, max_drive_ms: int) -> Iterator[str]:
    """Yield what cannot work, each time beginning with the setting's name (``errors.WiringError``)."""
    taken: dict[int, str] = {}
    for name, pin in {**lines_of(wiring)[0], **lines_of(wiring)[1]}.items():
        if pin.line in taken:
            yield f"lock.options.{name}: line {pin.line} is {taken[pin.line]}'s already; give each a line of its own"
        taken[pin.line] = name
    longest_ms = max(wiring.course(action).on_ms for action in wiring.actions & {Action.UNLOCK, Action.LOCK})
    if longest_ms > max_drive_ms:
        yield f"lock.max_drive_ms: one try takes {longest_ms} ms, more than the {max_drive_ms} allowed; raise it"
    if isinstance(wiring, Servo) and abs(wiring.open_us - wiring.closed_us) < LEAST_TURN_US:
        yield f"lock.options.open_us: closed_us is {wiring.closed_us}, nearly the same; give each end its own pulse"


def _doubling(gap_ms: int, tries: int) -> tuple[int, ...]:
    return tuple(gap_ms * 2**n for n in range(tries - 1))


def _door(pin: Pin | None, read: Read) -> bool | None:
    return None if pin is None else read("door")
