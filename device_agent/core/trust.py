"""Whose orders count: the command keys of the configuration in force (broker/README.md, "Configuration")."""

from __future__ import annotations

from collections.abc import Mapping

from broker.contract.envelope import KeyFinder, RejectedError, Rejection
from broker.contract.jws import PublicKey
from broker.contract.keys import load_command_keys
from broker.contract.messages import Config
from device_agent.core.records import Configuration, Snapshot


class Trust:
    """The keys that count now, and the configurations that wait for the disk.

    Until the first configuration those keys count with which the device was set up.
    """

    def __init__(self, provisioned: KeyFinder, provisioned_revision: int, snapshot: Snapshot) -> None:
        """Restore what the journal has; a device that was set up anew since then begins with what it was given."""
        saved = snapshot.configuration
        self._find = provisioned
        self.revision = self._newest = provisioned_revision
        self._waiting: dict[int, Mapping[str, PublicKey]] = {}
        if saved is not None and saved.revision >= provisioned_revision:
            self._waiting[saved.revision] = load_command_keys(saved.command_keys)
            self.saved(saved)
        self._newest = max(self._newest, snapshot.refused_revision)
        self._on_trial = snapshot.on_trial

    def find(self, key_id: str) -> PublicKey | None:
        """Return a key that counts now: an ``envelope.KeyFinder``."""
        return self._find(key_id)

    def comes_back(self) -> bool:
        """Note that the service was heard; return whether that ends the trial of the configuration in force."""
        ends, self._on_trial = self._on_trial, False
        return ends

    def take(self, config: Config) -> Configuration:
        """Accept a configuration whose signature is good; return what to save. It counts once it is ``saved``.

        Raises:
            RejectedError: it is not above the newest one accepted, or one of its keys is no key.
        """
        if config.revision <= self._newest:
            raise RejectedError(Rejection.OLD_REVISION, f"{config.revision}, {self._newest} is known")
        try:
            keys = load_command_keys(config.command_keys)
        except ValueError as error:
            raise RejectedError(Rejection.MALFORMED, str(error)) from error
        self._newest = config.revision
        self._waiting[config.revision] = keys
        return Configuration(config.revision, dict(config.command_keys))

    def saved(self, configuration: Configuration) -> None:
        """Let a configuration count that is on the disk."""
        keys = self._waiting.pop(configuration.revision)
        self._find = keys.get
        self.revision = configuration.revision
        self._newest = max(self._newest, self.revision)
        self._on_trial = True
