"""What the locks did: invariants 1 to 3."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from broker.contract.codes import Result
from device_agent.drivers.memory import Movement
from simulators.invariants.world import World
from simulators.records import Witness


def no_late_movement(world: World) -> Iterator[str]:
    """1. No lock moves after its command's deadline, or after a cancel was accepted."""
    for witness, movement in world.driven:
        command = world.commands.get(movement.command_id or "")
        if command is None:
            continue  # invariant 3 speaks of it
        where = f"device {witness.device_id} command {command.id}"
        if movement.boot_id != command.boot_id:
            yield f"{where}: moved in boot {movement.boot_id}, dated for {command.boot_id}"
        elif movement.uptime_ms > command.expires_uptime_ms:
            yield f"{where}: moved at uptime {movement.uptime_ms} ms, expired at {command.expires_uptime_ms} ms"
        yield from (f"{where}: moved after cancel {c}" for c in _cancels_before(world, witness, movement))


def one_movement_per_command(world: World) -> Iterator[str]:
    """2. At most one movement a command id."""
    counts = Counter((witness.device_id, movement.command_id) for witness, movement in world.driven)
    for (device, command), count in counts.items():
        if count > 1:
            yield f"device {device} command {command}: moved {count} times"


def no_movement_without_command(world: World) -> Iterator[str]:
    """3. None without a valid, fresh command for this very device (a hand on the lock aside)."""
    for witness, movement in world.driven:
        where = f"device {witness.device_id} at uptime {movement.uptime_ms} ms"
        command = world.commands.get(movement.command_id or "")
        if command is None:
            yield f"{where}: moved for command {movement.command_id}, which the service never gave"
        elif command.device_id != witness.device_id:
            yield f"{where}: moved for command {command.id}, which was for {command.device_id}"
        elif command.action != movement.what:
            yield f"{where}: did {movement.what} for command {command.id}, which asked for {command.action}"
        elif movement.command_id not in witness.orders:
            yield f"{where}: moved for command {command.id} without an intent in the journal"


def _cancels_before(world: World, witness: Witness, movement: Movement) -> Iterator[str]:
    for cancel in world.cancels.get(movement.command_id or "", ()):
        order = witness.orders.get(cancel)
        if order is None or order["result"] != Result.DONE or order["boot_id"] != movement.boot_id:
            continue
        if order["accepted_uptime_ms"] < movement.uptime_ms:
            yield cancel
