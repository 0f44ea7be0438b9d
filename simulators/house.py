"""The whole system on one machine: broker, service, payment provider and fleet, started and ended together.

The parts are programs of their own, as in production; this module knows their commands and their addresses only.
Everything is in one folder:

| path | what |
| --- | --- |
| ``broker/`` | Mosquitto's files |
| ``secrets/`` | the service's keys, and in ``pki/`` the authority and its certificates |
| ``unlatch.db`` | the database, unless another one is named |
| ``devices/`` | the fleet's folders (``folders.py``) |
| ``logs/`` | what each program says |
"""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx
import msgspec

from broker.mosquitto.files import Certificates
from broker.mosquitto.ports import LOOPBACK, free_port
from broker.mosquitto.supervisor import Mosquitto
from simulators import folders, hands, provisioning
from simulators.bodies import Making
from simulators.errors import HouseError
from simulators.processes import Child, program, run
from simulators.provisioning import Wish

READY_TIMEOUT_S: Final = 60.0  # a service is up within 2 s; a machine under full load may need much longer
CONNECT_TIMEOUT_S: Final = 120.0  # a thousand devices connect in 5 s
POLL_S: Final = 0.05
HEALTH_TIMEOUT_S: Final = 5.0
LIMITS_FACTOR: Final = "1000"  # a city's riders all come from this one address
OPERATOR: Final = "simulator"
PASSWORD_BYTES: Final = 9  # twelve characters to copy, gone with the house

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What house to build.

    Attributes:
        directory: where its files go; ``None`` for a temporary folder that goes when the house does.
        database_url: an empty database; ``None`` for SQLite in the folder.
        http_port: of the service; ``None`` for a free one.
        instances: of the service. Several need PostgreSQL.
        service_env: more ``UNLATCH_*`` settings.
        making: how the devices are made.
        person: name of an operator who signs in with a password, made for the house; ``None`` for none.
        tell: gets a line before each step.
    """

    directory: Path | None = None
    database_url: str | None = None
    http_port: int | None = None
    instances: int = 1
    service_env: Mapping[str, str] = field(default_factory=dict)
    making: Making = field(default_factory=Making)
    person: str | None = None
    tell: Tell = lambda _line: None


class House:
    """A context manager: on the way in it starts broker, payment provider and service; on the way out it ends all.

    The fleet comes after ``provision``, with ``start_fleet``. For faults, a test may point the service or the fleet
    at a proxy: set ``service_broker_port`` or ``fleet_broker_port`` and start that part (again).

    Attributes:
        services: the processes of the service's instances; ``fleet`` and ``payments`` likewise.
        urls: where they answer; ``url`` is the first.
        operator_token: an operator's.
        password: that of the plan's person.
    """

    def __init__(self, plan: Plan | None = None) -> None:
        """Prepare; nothing runs yet.

        Raises:
            HouseError: the folder is not empty.
        """
        self.plan = plan or Plan()
        _refuse_used(self.plan.directory)
        self._temporary = tempfile.TemporaryDirectory(prefix="unlatch-", ignore_cleanup_errors=True)
        self.directory = (self.plan.directory or Path(self._temporary.name)).resolve()
        self.broker = Mosquitto(Certificates.of(self._secrets_dir / "pki"), self.directory / "broker")
        self.database_url = self.plan.database_url or f"sqlite:///{self.directory / 'unlatch.db'}"
        more = [free_port() for _ in range(self.plan.instances - 1)]
        self.urls = [f"http://{LOOPBACK}:{port}" for port in (self.plan.http_port or free_port(), *more)]
        self.url = self.urls[0]
        self.services: list[Child] = []
        self.payment_url = f"http://{LOOPBACK}:{free_port()}"
        self.operator_token = ""
        self.password = ""
        self.service_broker_port: int | None = None
        self.fleet_broker_port: int | None = None
        self._program: Path | None = None
        self._stack = ExitStack()
        self._http = httpx.Client(timeout=HEALTH_TIMEOUT_S, trust_env=False)

    def __enter__(self) -> Self:
        """Start everything but the fleet.

        Raises:
            ChildError: a program did not come up.
            MosquittoError: the broker did not.
        """
        try:
            self._begin()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every process; remove the folder if it is a temporary one."""
        self._stack.close()
        self._http.close()
        self._temporary.cleanup()

    @property
    def devices_dir(self) -> Path:
        """Where the devices' folders are."""
        return self.directory / "devices"

    @property
    def service(self) -> Child:
        """The process of the service, or of its first instance."""
        return self.services[0]

    def start_service(self, number: int = 0) -> None:
        """Start the service, or one of its instances, and wait until it is ready, at the same address as ever.

        Raises:
            ChildError: it did not come up.
        """
        name = f"service-{number + 1}" if len(self.urls) > 1 else "service"
        child = Child(name, [program("unlatch"), "serve"], self._log(name), self._service_env(number))
        self.services[number : number + 1] = [child]
        child.start()
        self._wait_until(lambda: self._answers(self.urls[number] + "/readyz"), child, READY_TIMEOUT_S)

    def kill_service(self, number: int = 0) -> None:
        """Kill it as a crash would (-9)."""
        self.services[number].kill()

    def use_program(self, folder: Path) -> None:
        """Take the service's program from a folder, from the next start on."""
        self._program = folder

    def migrate(self) -> None:
        """Bring the database up to date with the program.

        Raises:
            ChildError: it failed; nothing has changed then.
        """
        self._run_unlatch("migrate")

    def provision(self, wishes: Iterable[Wish]) -> list[folders.Device]:
        """Register devices, enrol them, and give each a label and a folder.

        Raises:
            ProvisioningError: the service refused one.
        """
        return provisioning.provision(self.url, self.operator_token, wishes, self.devices_dir)

    def register(self, devices: Iterable[Mapping[str, object]]) -> list[dict[str, Any]]:
        """Register many devices at once, as `unlatch device import` takes them, and return what it says of each.

        The service is ended for it and started again: only one process may write to its database.

        Raises:
            ChildError: one was refused, so none is registered.
        """
        lines = self.directory / "import.jsonl"
        lines.write_bytes(b"".join(msgspec.json.encode(device) + b"\n" for device in devices))
        self.service.stop()
        said = self._run_unlatch("device", "import", str(lines))
        self.start_service()
        return [msgspec.json.decode(line) for line in said.splitlines()]

    def start_fleet(self) -> None:
        """Start the fleet and wait until every device is connected and the service has heard of it.

        Raises:
            ChildError: it ended, or did not connect in time.
        """
        port = self.fleet_broker_port or self.broker.port
        making = self.plan.making
        command = [program("unlatch-sim"), "fleet", str(self.devices_dir), "--broker", f"{LOOPBACK}:{port}"]
        command += ["--synchronous", making.synchronous, "--movement-ms", str(making.movement_ms)]
        self.fleet = Child("fleet", command, self._log("fleet"), _clean_env())
        self.fleet.start()
        self._wait_until(self._fleet_is_connected, self.fleet, CONNECT_TIMEOUT_S)

    def require_all(self) -> None:
        """Find out whether all parts run.

        Raises:
            ChildError: one has ended by itself.
        """
        for child in (*self.services, self.fleet, self.payments):
            if not child.running:
                ended = "has ended"
                raise child.complaint(ended)

    @property
    def _secrets_dir(self) -> Path:
        return self.directory / "secrets"

    def _begin(self) -> None:
        tell = self.plan.tell
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        tell("Making keys and certificates")
        self._run_unlatch("secrets")
        self._run_unlatch("pki", "init", "--instances", str(len(self.urls) if len(self.urls) > 1 else 0))
        tell("Starting Mosquitto")
        self._stack.enter_context(self.broker)
        tell("Making the database")
        self._start_payments()  # loads while the others are busy
        self.migrate()
        self.operator_token = self._run_unlatch("operator", "add", OPERATOR, "--role", "admin").split()[-1]
        if self.plan.person is not None:
            self._add_person(self.plan.person)
        tell("Starting the service and the payment provider")
        # Registered before they start, so that a start that fails half-way leaves nothing behind.
        self._stack.callback(self._stop_services)
        for number in range(len(self.urls)):
            self.start_service(number)
        self._wait_until(lambda: self._answers(self.payment_url + "/healthz"), self.payments, READY_TIMEOUT_S)
        self._stack.callback(lambda: self._stop("fleet"))

    def _add_person(self, name: str) -> None:
        """Make an operator for the dashboard, with a password that nobody else has."""
        self.password = secrets.token_urlsafe(PASSWORD_BYTES)
        file = self.directory / "password"
        file.touch(mode=0o600)
        file.write_text(self.password)
        self._run_unlatch("operator", "add", name, "--role", "admin", "--password-file", str(file))

    def _start_payments(self) -> None:
        port = self.payment_url.rpartition(":")[2]
        command = [program("unlatch-sim"), "payments", "--port", port, "--secrets", str(self._secrets_dir)]
        self.payments = Child("payment provider", command, self._log("payments"), _clean_env())
        self._stack.callback(self.payments.stop)
        self.payments.start()

    def _stop_services(self) -> None:
        for child in self.services:
            child.stop()

    def _stop(self, name: str) -> None:
        child: Child | None = getattr(self, name, None)
        if child is not None:
            child.stop()

    def _run_unlatch(self, *arguments: str) -> str:
        return run(f"unlatch {' '.join(arguments)}", [program("unlatch"), *arguments], self._setup_env())

    def _service_env(self, number: int) -> dict[str, str]:
        port = str(self.service_broker_port or self.broker.port)
        own = {"UNLATCH_BROKER_PORT": port, "UNLATCH_HTTP_PORT": self.urls[number].rpartition(":")[2]}
        if len(self.urls) > 1:
            own["UNLATCH_INSTANCE"] = str(number + 1)
        return {**self._setup_env(), **own, **self.plan.service_env}

    def _setup_env(self) -> dict[str, str]:
        """Return the settings of commands that need no broker."""
        ours = {
            "database_url": self.database_url,
            "secrets_dir": str(self._secrets_dir),
            "http_host": LOOPBACK,
            "http_port": self.url.rpartition(":")[2],
            "public_url": self.url,
            "broker_host": LOOPBACK,
            "payment_url": self.payment_url,
            "limits_factor": LIMITS_FACTOR,
            "demo": "true",
        }
        named = {f"UNLATCH_{name.upper()}": value for name, value in ours.items()}
        return {**_clean_env(), **self._program_env(), **named, **self.plan.service_env}

    def _program_env(self) -> dict[str, str]:
        if self._program is None:
            return {}
        return {"PYTHONPATH": os.pathsep.join(filter(None, (str(self._program), os.environ.get("PYTHONPATH"))))}

    def _answers(self, url: str) -> bool:
        try:
            return self._http.get(url).is_success
        except httpx.HTTPError:
            return False

    def _fleet_is_connected(self) -> bool:
        try:
            state = hands.ask(self.devices_dir, "state")
        except OSError:
            return False
        return bool(state["connected"] == state["devices"] and state["waiting_reports"] == 0)

    def _wait_until(self, condition: Callable[[], bool], child: Child, timeout_s: float) -> None:
        deadline = time.perf_counter() + timeout_s
        while True:
            if not child.running or time.perf_counter() > deadline:
                raise child.complaint(f"was not ready within {timeout_s:.0f} s" if child.running else "ended at once")
            if condition():
                return
            time.sleep(POLL_S)

    def _log(self, name: str) -> Path:
        return self.directory / "logs" / f"{name}.log"


def _refuse_used(directory: Path | None) -> None:
    if directory is not None and directory.exists() and any(directory.iterdir()):
        msg = f"{directory} is not empty; name a new folder, or none for a temporary one"
        raise HouseError(msg)


def _clean_env() -> dict[str, str]:
    """Return our environment without settings of another installation."""
    return {name: value for name, value in os.environ.items() if not name.startswith("UNLATCH_")}
