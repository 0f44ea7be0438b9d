"""The agent's own errors. What a peer sends wrongly is not an error here: it is counted (``core.complaints``)."""

from __future__ import annotations

from pathlib import Path


class AgentError(Exception):
    """Base of all; the text names the next step for whoever operates the device."""


class SettingsError(AgentError):
    """A setting is missing, unknown or wrong; the text names the file and, where it is known, the line."""

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(f"{file}: {problem}")
        self.file = file


class JournalError(AgentError):
    """The journal could not be opened, read or written. A transaction that raised it is not on the disk."""


class JournalInUseError(JournalError):
    """Another agent writes this journal."""


class DriverError(AgentError):
    """The lock's driver refuses or fails; for a refusal nothing was driven."""


class WiringError(DriverError):
    """The lock's options are wrong; the text begins with the name of the setting, such as ``lock.options.bolt``."""


class SignerError(AgentError):
    """The key, or the chip that holds it, did not sign."""


class EnrolmentError(AgentError):
    """The device did not get a certificate, or not one that it can use. What it has is as it was."""


class ServiceError(EnrolmentError):
    """The service did not answer, or answered no."""
