"""What a broker may deliver to a device: nothing moves, and nothing is written, but for what the service has signed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from broker.contract import jws
from broker.contract.codes import Action
from broker.contract.keys import key_id, new_command_key, public_pem
from broker.contract.messages import VERSION, Command, Config, Message, ReportAck
from broker.contract.topics import Channel
from device_agent.core.events import MessageArrived
from tests.support import mutations
from tests.support.agent_world import CHANNELS, COMMAND_KEY, DEVICE, World
from tests.support.fuzzing import MIB, Area, Fuzzing

FOREIGN_KEY: Final = new_command_key()
KID: Final = key_id(COMMAND_KEY.public_key())
PER_WORLD: Final = 500  # inputs to one device; one whose keys were changed is replaced at once
# A journal in memory of a hundred commands, and the interpreter's arenas; what a device keeps is bounded by its limits.
GROWTH_MAX_BYTES: Final = 32 * MIB
CHANNELS_IN: Final = (
    Channel.COMMAND,
    Channel.CONFIG,
    Channel.REPORT_ACK,
)  # what a device subscribes to; others are dropped
MOVES: Final = {Action.UNLOCK, Action.LOCK}


def genuine(world: World, chance: random.Random) -> Message:
    match chance.randrange(3):
        case 0:
            return world.command(chance.choice(list(Action)))
        case 1:
            keys = {KID: public_pem(COMMAND_KEY.public_key())}
            return Config(version=VERSION, device=DEVICE, revision=chance.randrange(1, 10), command_keys=keys)
    journal_id = world.journal.snapshot().journal_id
    return ReportAck(version=VERSION, device=DEVICE, journal_id=journal_id, acked_through=chance.randrange(9))


def sealed(content: bytes, kind: type[Message]) -> bytes:
    return jws.seal(content, COMMAND_KEY, typ=kind.TYPE, kid=KID)


def forged(world: World, chance: random.Random) -> MessageArrived:
    """Return what the service has not said, or not to this device, not on this channel, or not now."""
    message = genuine(world, chance)
    content, channel, retained = msgspec.to_builtins(message), CHANNELS[type(message)], False
    token = sealed(msgspec.json.encode(message), type(message))
    match chance.randrange(6):
        case 0:
            altered = mutations.bytes_of(chance, token, token[::-1])
            token = altered if altered != token else token[1:]
        case 1:
            kid = chance.choice((KID, key_id(FOREIGN_KEY.public_key()), ""))
            token = jws.seal(mutations.json_of(chance, content), FOREIGN_KEY, typ=message.TYPE, kid=kid)
        case 2:
            content["device"] = chance.choice(("AAAAAAAAAA", DEVICE + "\n", DEVICE.lower() + "0", ""))
            token = sealed(msgspec.json.encode(content), type(message))
        case 3:
            channel = chance.choice([other for other in CHANNELS_IN if other is not channel])
        case 4 if channel is not Channel.CONFIG:
            retained = True
        case _:
            token = chance.randbytes(chance.choice((0, 1, 40, 400, 4_097)))
    return MessageArrived(channel=channel, payload=token, retained=retained, unix_s=chance.choice((None, 0, 2**40)))


def state(world: World) -> tuple[Any, ...]:
    """Return all that a message could change: what the journal wrote, what moved, what was said and what counts."""
    agent = world.device.agent
    said = len(world.link.report_tokens), len(world.link.heartbeat_tokens), len(world.link.presences)
    return world.journal._db.total_changes, len(world.lock.history), agent.outbox_depth, agent.config_revision, said


def worlds() -> Iterator[World]:
    while True:
        world = World()
        world.link_up()
        revision = world.device.agent.config_revision
        for _ in range(PER_WORLD):
            yield world
            if world.device.agent.config_revision != revision:
                break
        world.journal.close()


def may_move(content: Any, world: World) -> bool:
    """Say whether this is an order for this very device, of this boot, in time."""
    return (
        isinstance(content, dict)
        and content.get("device") == DEVICE
        and content.get("boot_id") == world.clock.boot_id
        and content.get("action") in MOVES
        and content.get("expires_uptime_ms", -1) >= world.clock.now_ms
    )


def test_what_the_service_has_not_said_changes_nothing_on_the_device_and_what_it_says_strangely_moves_nothing() -> None:
    homes = worlds()
    with Fuzzing(Area.AGENT, growth_max_bytes=GROWTH_MAX_BYTES) as run:
        for chance in run:
            world = next(homes)
            if chance.random() < 0.6:
                run.outcomes["forged"] += forge(world, chance)
            else:
                run.outcomes[say_strangely(world, chance)] += 1
            if chance.random() < 0.05:
                world.pass_ms(chance.choice((1, 500, 40_000)))
            world.link.report_tokens.clear()
            world.link.heartbeat_tokens.clear()
        run.saw("forged", "moved", "taken", "refused")


def forge(world: World, chance: random.Random) -> int:
    event = forged(world, chance)
    before, refused = state(world), world.device.agent.rejections.total()
    world.device.feed(event)
    assert state(world) == before, event
    assert world.device.agent.rejections.total() == refused + 1, event
    return 1


def say_strangely(world: World, chance: random.Random) -> str:
    """Deliver what the service's own key has signed, with a content that it would not write."""
    message = genuine(world, chance)
    content = msgspec.json.encode(message)
    if chance.random() < 0.8:
        content = mutations.json_of(chance, msgspec.to_builtins(message))
    channel = CHANNELS[type(message)]
    before, moved = state(world), len(world.lock.history)
    world.device.feed(
        MessageArrived(channel=channel, payload=sealed(content, type(message)), retained=False, unix_s=None)
    )
    if len(world.lock.history) != moved:
        assert isinstance(message, Command)
        assert may_move(json.loads(content), world), content
        assert len(world.lock.history) == moved + 1
        return "moved"
    return "refused" if state(world) == before else "taken"
