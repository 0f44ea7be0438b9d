"""The simulators' own errors. Each message says what to do about it: nobody needs its traceback."""

from __future__ import annotations

from typing import Any


class SimulatorError(Exception):
    """Base of all."""


class HouseError(SimulatorError):
    """The system cannot be built here."""


class ChildError(SimulatorError):
    """A program did not do what it was started for; the message ends with its log."""


class ProvisioningError(SimulatorError):
    """The service would not register a device; the message has its answer."""


class FolderError(SimulatorError):
    """A device's folder cannot be read."""


class RecordsError(SimulatorError):
    """The service's database or a device's journal cannot be read."""


class UsedDatabaseError(SimulatorError):
    """The database has tables already, and a replay counts everything that it finds."""


class TripsError(SimulatorError):
    """The trips cannot be replayed; the message names file and line."""


class DeedError(SimulatorError):
    """What somebody wants to do to a device cannot be done."""


class RideError(SimulatorError):
    """A ride went another way than it should."""


class CardError(SimulatorError):
    """There is no simulated memory card on this machine."""


class BenchError(SimulatorError):
    """Something that is to be measured cannot be; no figure is written."""


class NoAnswerError(SimulatorError, ConnectionError):
    """The connection could not be made, or ended before the answer was complete. It may have had an effect."""


class ApiError(SimulatorError):
    """The service said no.

    Attributes:
        status: HTTP status.
        type: the problem's stable name, without its prefix.
        problem: the whole document.
    """

    def __init__(self, what: str, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{what}: {status} {problem.get('type', '')} {problem.get('detail', '')}")
        self.status = status
        self.type = str(problem.get("type", "")).rpartition(":")[2]
        self.problem = problem
