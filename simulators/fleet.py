"""A fleet: every device of a folder in one process, each on a connection of its own (DESIGN 2)."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import signal
from pathlib import Path

import uvloop

from simulators import folders, hands
from simulators.bodies import Making, SimulatedDevice
from simulators.errors import DeedError, FolderError
from simulators.hands import Facts
from simulators.links import STORM, Broker

logger = logging.getLogger(__name__)


class Fleet:
    """All devices below ``root``.

    Attributes:
        devices: by id.
    """

    def __init__(self, root: Path, broker: Broker, making: Making) -> None:
        """Boot them all; nothing is connected yet.

        Raises:
            FolderError: there is no device, or one cannot be read.
        """
        found = folders.device_folders(root)
        if not found:
            msg = f"{root} has no devices; `unlatch-sim up` makes a fleet with a service to go with it"
            raise FolderError(msg)
        self._root = root
        self.devices = {folder.name: SimulatedDevice(folder, broker, making) for folder in found}

    async def run(self) -> None:
        """Connect them, listen for hands, and go on until cancelled."""
        server = await hands.serve(self._root, self.do)
        try:
            async with asyncio.TaskGroup() as group:
                for device in self.devices.values():
                    group.create_task(device.link.run(), name=device.device.id)
        finally:
            server.close()
            for device in self.devices.values():
                device.close()

    def do(self, request: Facts) -> Facts:
        """Answer a request of ``hands``: about one device, or about all of them.

        Raises:
            DeedError: it cannot be done.
        """
        deed, name = str(request.get("do")), str(request.get("device", ""))
        if not name and deed == "state":
            return self.state()
        device = self.devices.get(name)
        if device is None:
            msg = f"no device {name!r} in this fleet"
            raise DeedError(msg)
        return device.state() if deed == "state" else device.do(deed, request)

    def state(self) -> Facts:
        """Return how the fleet is doing."""
        every = self.devices.values()
        return {
            "devices": len(every),
            "connected": sum(device.link.connected for device in every),
            "waiting_reports": sum(device.waiting_reports for device in every),
        }


def run_fleet(root: Path, host: str, port: int, making: Making) -> None:
    """Run the fleet of ``root`` until SIGINT or SIGTERM.

    Raises:
        FolderError: there is no device, or one cannot be read.
    """
    _allow_files()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(root, host, port, making))


def _allow_files() -> None:
    """Raise the limit of open files to what the system lets us have: each device has a socket and a journal."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def _run(root: Path, host: str, port: int, making: Making) -> None:
    fleet = Fleet(root, Broker(host, port, asyncio.Semaphore(STORM)), making)
    gc.collect()
    gc.freeze()  # no device would have the others' objects to look through
    logger.info("fleet up devices=%d broker=%s:%d", len(fleet.devices), host, port)
    running = asyncio.ensure_future(fleet.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        logger.info("fleet ended")
