"""The agent as it is installed, and what the kernel says of it."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from pathlib import Path
from typing import Final

from simulators import folders
from simulators.bench_device import stand_in
from simulators.errors import BenchError
from simulators.folders import Device
from simulators.links import CA_FILE, CERT_FILE, TLS_KEY_FILE
from simulators.processes import Child, program

READY_S: Final = 60.0  # it takes less than one; a machine under full load may need much longer
EDGE_S: Final = 20.0  # it takes milliseconds
WATCHDOG_US: Final = "30000000"  # as the unit has it: the loop says twice in that time that it is alive
KIB: Final = 1_024

SETTINGS: Final = """\
device = "{device}"
state_dir = "{state}"
report_key_file = "{folder}/{report_key}"
command_key_files = ["{folder}/command_key.pem"]
[broker]
host = "127.0.0.1"
port = {port}
ca_file = "{folder}/{ca}"
cert_file = "{folder}/{certificate}"
key_file = "{folder}/{tls_key}"
[service]
url = "https://127.0.0.1:9"
[lock]
driver = "solenoid"
kind = "bike"
[lock.options]
coil = {{ line = {coil} }}
bolt = {{ line = {bolt} }}
pulse_ms = 300
duty_percent = 100
"""


class AgentProgram:
    """``unlatch-agent run`` with its state on the card and the stand-in for the chip's lines.

    Attributes:
        ready_s: from its start to its word that it is ready, of each start.
    """

    def __init__(self, work: Path, card: Path, folder: Path, device: Device, port: int) -> None:
        """Write its settings and make the pipes of the stand-in; nothing runs yet."""
        self.ready_s: list[float] = []
        self._work = work
        (work / "gpiod.py").write_text(stand_in.MODULE)
        for pipe in (stand_in.EDGES, stand_in.HAND):
            os.mkfifo(work / pipe)
        self._edges = os.open(work / stand_in.EDGES, os.O_RDWR)
        self._hand = os.open(work / stand_in.HAND, os.O_RDWR)
        settings = work / "device.toml"
        settings.write_text(
            SETTINGS.format(
                device=device.id,
                state=card / "state",
                folder=folder,
                port=port,
                report_key=folders.KEY_FILE,
                ca=CA_FILE,
                certificate=CERT_FILE,
                tls_key=TLS_KEY_FILE,
                coil=stand_in.COIL,
                bolt=stand_in.BOLT,
            )
        )
        command = [program("unlatch-agent"), "run", "--config", str(settings)]
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(str(work / "notify"))
        self._ready_at: float | None = None
        self._is_ready = threading.Event()
        threading.Thread(target=self._listen, name="manager", daemon=True).start()
        self.child = Child("agent", command, card / "agent.log", self._environment())

    def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            BenchError: it is not.
        """
        self._is_ready.clear()
        began = time.perf_counter()
        self.child.start()
        if not self._is_ready.wait(READY_S) or self._ready_at is None:
            raise BenchError(str(self.child.complaint("did not become ready")))
        self.ready_s.append(self._ready_at - began)

    def close_by_hand(self) -> None:
        """Push the bolt shut."""
        os.write(self._hand, b"h")

    def next_edge_ns(self) -> int:
        """Return when the coil was switched on next, in nanoseconds of ``CLOCK_MONOTONIC``; waits for it.

        Raises:
            BenchError: it is not.
        """
        if not select.select([self._edges], [], [], EDGE_S)[0]:
            raise BenchError(str(self.child.complaint("did not switch the coil on")))
        moment: int = stand_in.MOMENT.unpack(os.read(self._edges, stand_in.MOMENT.size))[0]
        return moment

    def cpu_ns(self) -> int:
        """Return the processor time that all its threads have used."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text(encoding="ascii").split()[0]) for task in tasks)

    def memory_mib(self) -> dict[str, float]:
        """Return what is resident, what of it no other program shares, and its share of what others do share."""
        text = Path(f"/proc/{self.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
        kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in text)}
        return {
            "rss_mib": round(kib["Rss"] / KIB, 1),
            "private_mib": round((kib["Private_Clean"] + kib["Private_Dirty"]) / KIB, 1),
            "anonymous_mib": round(kib["Anonymous"] / KIB, 1),
            "pss_mib": round(kib["Pss"] / KIB, 1),
        }

    def written_bytes(self) -> int:
        """Return what it has had written to a disk, in whole pages of the kernel's."""
        text = Path(f"/proc/{self.pid}/io").read_text(encoding="ascii")
        return int(text.split("\nwrite_bytes:")[1].split()[0])

    @property
    def pid(self) -> int:
        """Its process: ``setpriv`` has become the agent by now."""
        return self.child.pid

    def _environment(self) -> dict[str, str]:
        # As it is installed: compiling what it imports would show in its time and memory.
        env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return env | {
            "PYTHONPATH": os.pathsep.join([str(self._work), str(Path.cwd())]),
            stand_in.FOLDER: str(self._work),
            "NOTIFY_SOCKET": str(self._work / "notify"),
            "WATCHDOG_USEC": WATCHDOG_US,
        }

    def _listen(self) -> None:
        while True:
            words = self._manager.recv(KIB)
            if words == b"READY=1":
                self._ready_at = time.perf_counter()
                self._is_ready.set()
