"""The agent as a program, in a directory of its own, for tests that kill, freeze, double and confine it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from broker.contract.keys import private_pem, public_pem
from broker.mosquitto.supervisor import Mosquitto
from device_agent.drivers.memory import Movement
from tests.support.agent_world import COMMAND_KEY, DEVICE, REPORT_KEY
from tests.support.cell import Cell

STOP_S = 20.0

SETTINGS = """
device = "{device}"
state_dir = "state"
report_key_file = "report_key.pem"
command_key_files = ["command_key.pem"]
heartbeat_interval_ms = 200
{boot}
[broker]
host = "{host}"
port = {port}
ca_file = "ca.pem"
cert_file = "tls-cert.pem"
key_file = "tls-key.pem"
[service]
url = "https://127.0.0.1:9"
[lock]
kind = "pod"
[lock.options]
movement_ms = {movement_ms}
"""


class Program:
    """``unlatch-agent`` in a directory of its own.

    Attributes:
        confined: what starts it such that it can do less than we.
    """

    def __init__(self, directory: Path, broker: Mosquitto) -> None:
        self.directory = directory
        self.confined: tuple[str, ...] = ()
        self._broker = broker
        files = Cell(broker.certificates.ca.parent).client(DEVICE)
        for name, text in (
            ("report_key.pem", private_pem(REPORT_KEY)),
            ("command_key.pem", public_pem(COMMAND_KEY.public_key())),
            ("ca.pem", files.ca.read_text()),
            ("tls-cert.pem", files.certificate.read_text()),
            ("tls-key.pem", files.key.read_text()),
        ):
            (directory / name).touch(mode=0o600)
            (directory / name).write_text(text)
        self.configure()
        self.process: subprocess.Popen[str] | None = None

    def configure(self, *, movement_ms: int = 0, boot_id: str | None = None) -> None:
        boot = "" if boot_id is None else f'boot_id = "{boot_id}"'
        text = SETTINGS.format(
            device=DEVICE, host=self._broker.host, port=self._broker.port, movement_ms=movement_ms, boot=boot
        )
        (self.directory / "device.toml").write_text(text)

    def start(self) -> None:
        # As it is installed: compiling what it imports would show in its memory.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        command = [*self.confined, *self._command("run")]
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, text=True)

    def end(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(with_signal)
        return self.process.wait(STOP_S)

    def freeze(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self._command(*words), capture_output=True, text=True, timeout=STOP_S, check=False)

    def movements(self) -> list[Movement]:
        file = self.directory / "state" / "body.jsonl"
        lines = file.read_bytes().splitlines() if file.exists() else []
        return [msgspec.json.decode(line, type=Movement) for line in lines]

    def cpu_ticks(self) -> int:
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def _command(self, *words: str) -> list[str]:
        config = str(self.directory / "device.toml")
        return [sys.executable, "-m", "device_agent.cli", *words, "--config", config]
