"""Whatever happens in whatever order: the invariants of DESIGN 7 that a device alone can break."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from broker.contract.codes import Action, Reason, Result
from broker.contract.envelope import Rejection
from broker.contract.jws import PrivateKey
from broker.contract.keys import key_id, new_command_key, public_pem
from broker.contract.messages import Command, CommandReport, Config
from device_agent.core.events import LinkDown
from device_agent.core.limits import Limits
from device_agent.drivers.memory import MovedBy
from device_agent.errors import DriverError
from tests.support.agent_world import COMMAND_KEY, DEVICE, World

TIGHT = Limits(commands_kept=4, telemetry_limit=3, full_limit=6, notice_limit=9, window=3)
MILLISECONDS = st.sampled_from([0, 1, 49, 51, 249, 251, 999, 1_001, 5_001, 31_000])
MOVING = st.sampled_from([Action.UNLOCK, Action.LOCK])


KEYS: list[PrivateKey] = [COMMAND_KEY, *(new_command_key() for _ in range(3))]
PEMS = {key: {key_id(key.public_key()): public_pem(key.public_key())} for key in KEYS}
STRANGER = new_command_key()
DAY_MS = 86_400_000


class AnyOrder(RuleBasedStateMachine):
    """A device with tight limits, a bad network, a bad card, hands at the lock and a bad power supply."""

    commands = Bundle("commands")

    @initialize(movement_ms=st.sampled_from([0, 100, 1_000]))
    def begin(self, movement_ms: int) -> None:
        self.world = World(movement_ms=movement_ms, limits=TIGHT, keep_acked=True)
        self.gone: PrivateKey = STRANGER
        self.sent: dict[str, Command] = {}
        self.cancelled_at: dict[str, int] = {}
        self.tokens: dict[int, bytes] = {}
        self.ends: dict[str, tuple[Result, Reason | None]] = {}

    @rule(target=commands, action=MOVING, ttl_ms=st.sampled_from([0, 300, 5_000]))
    def make(self, action: Action, ttl_ms: int) -> Command:
        command = self.world.command(action, ttl_ms=ttl_ms)
        self.sent[command.id] = command
        return command

    @rule(command=commands)
    def deliver(self, command: Command) -> None:
        self.world.send(command)

    @rule(command=commands)
    def deliver_retained(self, command: Command) -> None:
        self.world.send(command, retained=True)

    @rule(command=commands)
    def cancel(self, command: Command) -> None:
        cancel = self.world.command(Action.CANCEL, cancels=command.id)
        moves_before = len(self.world.lock.history)
        self.world.send(cancel)
        # What is not on the disk has not been said to anybody, and a restart may forget it.
        saved = {record.id: record.result for record in self.world.journal.snapshot().commands}
        if saved.get(cancel.id) is Result.DONE:
            self.cancelled_at.setdefault(command.id, moves_before)

    @rule(keep=st.booleans(), retained=st.booleans(), full=st.booleans())
    def configure(self, *, keep: bool, retained: bool, full: bool) -> None:
        """Have the next key listed, with or without the present ones; each revision is above the last."""
        key = KEYS[(KEYS.index(self.world.key) + 1) % len(KEYS)]
        listed = [self.world.key, key] if keep else [key]
        pems = {name: pem for one in listed for name, pem in PEMS[one].items()}
        revision = self.world.device.agent.config_revision + 1
        self.world.journal.full = full
        self.world.send(Config(version=1, device=DEVICE, revision=revision, command_keys=pems), retained=retained)
        self.world.journal.full = False
        while self.world.device.agent.config_revision != revision and self.world.clock.now_ms < DAY_MS:
            self.world.pass_ms(1_000)  # the card is well again, and everything is tried again
        assert self.world.device.agent.config_revision == revision
        if not keep or self.gone is key:
            self.gone = STRANGER if keep else self.world.key
        self.world.key = key

    @rule(command=commands)
    def deliver_with_a_key_that_is_out(self, command: Command) -> None:
        rejections = self.world.device.agent.rejections
        moves, refused = len(self.world.lock.history), rejections[Rejection.UNKNOWN_KEY]
        self.world.send(command, key=self.gone)
        assert rejections[Rejection.UNKNOWN_KEY] == refused + 1
        assert len(self.world.lock.history) == moves

    @rule(duration_ms=MILLISECONDS)
    def wait(self, duration_ms: int) -> None:
        self.world.pass_ms(duration_ms)

    @rule()
    def freeze(self) -> None:
        self.world.clock.now_ms += 2_000  # time passes and nobody looks

    @rule(share=st.floats(0, 1.2))
    def acknowledge(self, share: float) -> None:
        self.world.ack(int(self.world.journal.snapshot().last_seq * share))

    @rule()
    def link_up(self) -> None:
        self.world.link_up()

    @rule()
    def link_down(self) -> None:
        self.world.device.feed(LinkDown())

    @rule(command=commands, restart=st.booleans())
    def deliver_with_a_full_card(self, command: Command, *, restart: bool) -> None:
        self.world.journal.full = True
        self.world.send(command)
        if restart:
            self.restart()
        self.world.journal.full = False

    @rule(command=commands, jammed=st.booleans(), bounce_ms=st.sampled_from([0, 20]))
    def deliver_to_a_bad_lock(self, command: Command, *, jammed: bool, bounce_ms: int) -> None:
        self.world.lock.jammed, self.world.lock.broken, self.world.lock.bounce_ms = jammed, not jammed, bounce_ms
        self.world.send(command)
        self.world.lock.jammed = self.world.lock.broken = False

    @rule()
    def force(self) -> None:
        self.world.lock.force_open()

    @rule()
    def close_by_hand(self) -> None:
        with suppress(DriverError):  # the lock is not always where a hand can close it
            self.world.lock.close_by_hand()

    @rule()
    def restart(self) -> None:
        self._read_link()
        self.world.restart()

    @rule()
    def reboot(self) -> None:
        self._read_link()
        self.world.reboot()

    def _read_link(self) -> None:
        for token in list(self.world.link.report_tokens):
            (report,) = self._opened(token)
            assert self.tokens.setdefault(report.seq, token) == token, "a report changed"
            if isinstance(report.body, CommandReport) and report.body.result is not Result.ACCEPTED:
                end = (report.body.result, report.body.reason)
                if self.ends.setdefault(report.body.command_id, end) != end:
                    self._allow_only_forgotten(report.body.command_id, end)

    def _opened(self, token: bytes) -> list:  # type: ignore[type-arg]
        self.world.link.report_tokens = [token]
        return self.world.link.take_reports()

    def _allow_only_forgotten(self, command_id: str, end: tuple[Result, Reason | None]) -> None:
        """A forgotten id may be refused as stale, which moves nothing; nothing else may change."""
        assert end in {(Result.EXPIRED, None), (Result.REFUSED, Reason.STALE_BOOT)}, f"{command_id} ended again"

    @invariant()
    def moves_are_lawful(self) -> None:
        by_command = [m for m in self.world.lock.history if m.cause is MovedBy.COMMAND]
        assert max(Counter(m.command_id for m in by_command).values(), default=0) <= 1
        for movement in by_command:
            command = self.sent[movement.command_id or ""]
            assert movement.what is command.action
            assert movement.boot_id == command.boot_id
            assert movement.uptime_ms <= command.expires_uptime_ms

    @invariant()
    def what_was_cancelled_stays(self) -> None:
        for number, movement in enumerate(self.world.lock.history):
            cancelled_at = self.cancelled_at.get(movement.command_id or "")
            assert cancelled_at is None or number < cancelled_at

    @invariant()
    def the_journal_has_no_gap(self) -> None:
        rows = self.world.journal._db.execute("SELECT seq FROM reports ORDER BY seq")
        assert [row["seq"] for row in rows] == list(range(1, self.world.journal.snapshot().last_seq + 1))

    @invariant()
    def reports_never_change(self) -> None:
        self._read_link()
        self.world.link.report_tokens = []


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=300, stateful_step_count=40, deadline=None, database=None)
