"""An agent that is killed at a point of its own code, its lock and what becomes of both; run as a program by tests.

A point is a line of ``device_agent``, or a return, that the agent passed between a command's arrival and its report in
a run that was recorded: the file, the line, and which time it passed there. ``python -m tests.support.killing FOLDER``
reads ``Work`` from standard input and writes a line of JSON a point. Agents are forks of this process: nothing is
imported twice, so that hundreds can be killed.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import gpiod
import msgspec

from broker.contract.codes import Action, Reason, Result
from broker.contract.envelope import open_sealed
from broker.contract.keys import private_pem, public_pem
from broker.contract.messages import VERSION, Command, CommandReport, Report
from broker.contract.topics import Channel
from device_agent import program
from device_agent.clock import SystemClock
from device_agent.core.events import Event, LinkDown, LinkUp, MessageArrived
from device_agent.settings import load
from simulators.chip import Body, MotorBody, ServoBody, SolenoidBody, StrikeBody
from tests.support.agent_service import signed
from tests.support.agent_world import COMMAND_KEY, DEVICE, REPORT_KEY
from tests.support.kept_chip import PACKET_BYTES, PATIENCE_S, Ask, Asking, Facts, KeptChip, TakenLines
from tests.support.points import Passed, Point, Tracer

logger = logging.getLogger(__name__)

TTL_MS: Final = 60_000
COOL_S: Final = 0.12  # locks count as hot after a boot; these are cold after 100 ms
LET_THROUGH: Final = 255  # exit of an agent that nobody hears any more

SETTINGS: Final = """
device = "{device}"
state_dir = "state"
report_key_file = "report_key.pem"
command_key_files = ["command_key.pem"]
[broker]
host = "127.0.0.1"
plain_tcp = true
[lock]
driver = "{driver}"
kind = "pod"
[lock.options]
{options}
"""


@dataclass(frozen=True)
class Scenario:
    """A lock as quick as its bounds allow. ``names`` are its lines; a servo's options take its PWM's folder."""

    driver: str
    options: str
    names: dict[int, str]
    body: Callable[[], Body]


SOLENOID: Final = (
    "coil = {line=17}\nbolt = {line=27, active_low=true}\npulse_ms=50\ntries=2\ngap_ms=100\nduty_percent=100"
)
SCENARIOS: Final = {
    "solenoid": Scenario("solenoid", SOLENOID, {17: "coil", 27: "bolt"}, lambda: SolenoidBody(takes_ms=10)),
    "second try": Scenario(
        "solenoid", SOLENOID, {17: "coil", 27: "bolt"}, lambda: SolenoidBody(takes_ms=10, yields_at=2)
    ),
    "jammed": Scenario("solenoid", SOLENOID, {17: "coil", 27: "bolt"}, lambda: SolenoidBody(jammed=True)),
    "motor": Scenario(
        "motor",
        "open_motor={line=5}\nclose_motor={line=6}\nopen_end={line=13}\nclosed_end={line=19}\nstall_ms=100\nduty_percent=100",
        {5: "open_motor", 6: "close_motor", 13: "open_end", 19: "closed_end"},
        lambda: MotorBody(takes_ms=60),
    ),
    "servo": Scenario(
        "servo",
        'signal={{channel=0, chip="{pwm}"}}\nbolt={{line=27}}\nmove_ms=100\ntries=1\nduty_percent=100',
        {27: "bolt"},
        lambda: ServoBody(takes_ms=30),
    ),
    "strike": Scenario(
        "strike",
        "strike={line=17}\ndoor={line=27}\nrelease_ms=50\ntries=2\ngap_ms=100\nduty_percent=100",
        {17: "strike", 27: "door"},
        lambda: StrikeBody(pulled=True),
    ),
}


class Work(msgspec.Struct, frozen=True):
    """Where to kill; ``None`` is a run without a kill, whose points are recorded."""

    scenario: str
    points: list[Point | None]


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the agent said of the command, and where its sensors saw the bolt."""

    result: Result
    moved: bool
    bolt: str
    reason: Reason | None = None


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one agent.

    Attributes:
        told: the outcome before the death, if it was told.
        after: the distinct outcomes that the next agent told, in answer to the same order twice.
        facts: what the chip saw until the death, until ``release`` had run, and at the end.
        recorded: for a run without a kill, in order.
    """

    point: Point | None
    killed: bool
    told: Outcome | None
    after: list[Outcome]
    seqs: list[int]
    facts: tuple[Facts, Facts, Facts]
    recorded: list[Passed] = []


class SocketLink:
    """The agent's link, to who forked it: packets of a letter and a token."""

    def __init__(self, end: socket.socket, listener: Callable[[Event], None], tracer: Tracer) -> None:
        self._end, self._listener, self._tracer = end, listener, tracer
        self._thread = threading.Thread(target=self._read, name="link", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._listener(LinkDown())

    def reconnect(self) -> None:
        """Stay as it is."""

    def publish_report(self, token: bytes) -> None:
        self._end.send(b"r" + token)
        body = open_sealed(token, Report, lambda _: REPORT_KEY.public_key()).body
        if isinstance(body, CommandReport) and body.result is not Result.ACCEPTED:
            self._tracer.armed = False

    def publish_heartbeat(self, token: bytes) -> None:
        self._end.send(b"h" + token)

    def publish_presence(self, *, online: bool) -> None:
        self._end.send(b"p1" if online else b"p0")

    def _read(self) -> None:
        self._listener(LinkUp())
        while payload := self._end.recv(PACKET_BYTES):
            self._tracer.armed = True
            self._listener(MessageArrived(channel=Channel.COMMAND, payload=payload))
        os._exit(LET_THROUGH)


class Scene:
    """One lock, the agents that come and go, and who gives the orders."""

    def __init__(self, folder: Path, scenario: Scenario) -> None:
        self.folder = folder
        self._write_files(scenario)
        self._chip_at = folder / "chip"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(str(self._chip_at))
        listener.listen()
        pwm = folder / "pwm0" if scenario.driver == "servo" else None
        self._chip = fork(KeptChip(scenario.body(), scenario.names, listener, pwm).serve)
        listener.close()
        self._asking = Asking(self._chip_at)
        self._end: socket.socket | None = None
        self.command = Command(
            version=VERSION,
            id="command-000001",
            device=DEVICE,
            action=Action.UNLOCK,
            boot_id=SystemClock().boot_id,
            expires_uptime_ms=SystemClock().uptime_ms() + TTL_MS,
        )
        self.reports: list[Report] = []
        self.heartbeats = 0

    def _write_files(self, scenario: Scenario) -> None:
        (self.folder / "pwm0").mkdir(parents=True)
        for name in ("period", "duty_cycle", "enable"):
            (self.folder / "pwm0" / name).write_text("0\n")
        options = scenario.options.format(pwm=self.folder) if scenario.driver == "servo" else scenario.options
        text = SETTINGS.format(device=DEVICE, driver=scenario.driver, options=options)
        (self.folder / "device.toml").write_text(text)
        (self.folder / "report_key.pem").touch(mode=0o600)
        (self.folder / "report_key.pem").write_text(private_pem(REPORT_KEY))
        (self.folder / "command_key.pem").write_text(public_pem(COMMAND_KEY.public_key()))

    def look(self) -> Callable[[], str]:
        """Return what says how the world is, for the agent's process."""
        asking = Asking(self._chip_at)

        def look() -> str:
            files = sorted((self.folder / "state").glob("journal.sqlite*"))
            facts = asking.ask(Ask("facts")).facts
            return repr([(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]) + repr(
                facts and facts.edges
            )

        return look

    def start(self, tracer: Tracer | None = None) -> int:
        """Start an agent; return its process when it has said that it lives, and its lock is cold."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(PATIENCE_S)

        def work() -> None:
            ours.close()
            self._be_agent(theirs, tracer)

        agent = fork(work)
        theirs.close()
        self._end, self.heartbeats = ours, 0
        while not self.heartbeats:
            self.hear()
        time.sleep(COOL_S)  # it cools in the device's own time
        return agent

    def _be_agent(self, end: socket.socket, tracer: Tracer | None) -> None:
        self._take_the_chip()
        traced = tracer or Tracer()
        setattr(program, "MqttLink", lambda _address, _boot_id, listener, _clock: SocketLink(end, listener, traced))  # noqa: B010
        if tracer is not None:
            threading.settrace(tracer.trace)
            sys.settrace(tracer.trace)
        program.run(load(self.folder / "device.toml"))
        if tracer is not None:
            sys.settrace(None)
            (self.folder / "points.json").write_bytes(msgspec.json.encode(tracer.passed))

    def _take_the_chip(self) -> None:
        setattr(gpiod, "request_lines", lambda _chip, config, **_: TakenLines(self._chip_at, config))  # noqa: B010

    def release(self) -> None:
        """Run what systemd runs after every end of the agent (``ExecStopPost``)."""

        def work() -> None:
            self._take_the_chip()
            program.release(load(self.folder / "device.toml"))

        wait(fork(work))

    def order(self) -> None:
        """Send the order, again if it has been sent."""
        assert self._end is not None
        self._end.send(signed(self.command))

    def hear(self) -> bool:
        """Take one message of the agent; return whether it still lives."""
        assert self._end is not None
        packet = self._end.recv(PACKET_BYTES)
        match packet[:1]:
            case b"r":
                self.reports.append(open_sealed(packet[1:], Report, lambda _: REPORT_KEY.public_key()))
            case b"h":
                self.heartbeats += 1
        return bool(packet)

    def outcomes(self) -> list[Outcome]:
        """Return all that was said of the command's end."""
        return [
            Outcome(body.result, body.moved, report.status.bolt, body.reason)
            for report in self.reports
            if isinstance(body := report.body, CommandReport) and body.result is not Result.ACCEPTED
        ]

    def facts(self) -> Facts:
        """Return what the chip has seen."""
        facts = self._asking.ask(Ask("facts")).facts
        assert facts is not None
        return facts

    def close(self) -> None:
        """End the chip."""
        self._asking.ask(Ask("end"))
        self._asking.socket.close()
        wait(self._chip)


def play(folder: Path, scenario: Scenario, point: Point | None) -> Fate:
    """Give an order, kill the agent at the point, release the lock, start the next agent and repeat the order twice."""
    scene = Scene(folder, scenario)
    agent = scene.start(Tracer(point) if point else Tracer(look=scene.look()))
    scene.order()
    while not scene.outcomes() and scene.hear():
        pass
    told, killed = next(iter(scene.outcomes()), None), _is_dead(agent, point)
    at_death = scene.facts()
    scene.release()
    released = scene.facts()
    first, scene.reports = scene.reports, []
    agent = scene.start()
    for answers in (1, 2):
        scene.order()
        while len(scene.outcomes()) < answers and scene.hear():
            pass
    os.kill(agent, signal.SIGTERM)
    wait(agent)
    fate = Fate(
        point=point,
        killed=killed,
        told=told,
        after=list(dict.fromkeys(scene.outcomes())),
        seqs=sorted({report.seq for report in (*first, *scene.reports)}),
        facts=(at_death, released, scene.facts()),
        recorded=[] if point else msgspec.json.decode((folder / "points.json").read_bytes(), type=list[Passed]),
    )
    scene.close()
    return fate


def _is_dead(agent: int, point: Point | None) -> bool:
    """End an agent that has told its outcome; return whether it had been killed at its point."""
    if point is None:
        os.kill(agent, signal.SIGTERM)
        wait(agent)
        return False
    dead, status = os.waitpid(agent, os.WNOHANG)
    if not dead:
        os.kill(agent, signal.SIGTERM)
        _, status = os.waitpid(agent, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def fork(work: Callable[[], None]) -> int:
    """Do something in a process of its own."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        logger.exception("a child of the test failed")
    finally:
        os._exit(code)


def wait(process: int) -> None:
    """Wait for a process that ends well.

    Raises:
        ChildProcessError: it does not.
    """
    _, status = os.waitpid(process, 0)
    if status:
        msg = f"{process} ended with {status}"
        raise ChildProcessError(msg)


def main() -> None:
    """Do the work of standard input."""
    work = msgspec.json.decode(sys.stdin.buffer.read(), type=Work)
    for number, point in enumerate(work.points):
        fate = play(Path(sys.argv[1]) / str(number), SCENARIOS[work.scenario], point)
        sys.stdout.buffer.write(msgspec.json.encode(fate) + b"\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
