"""The device's keys: its report key, in a file or elsewhere, and the service's command keys."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from broker.contract.envelope import sign
from broker.contract.jws import PublicKey
from broker.contract.keys import key_id, load_private, load_public
from broker.contract.messages import Message
from device_agent.errors import SettingsError, SignerError
from device_agent.ports import ReportKey
from device_agent.settings import LoadedSettings


class FileKey:
    """A ``ports.ReportKey`` in a file. Who steals the card has it; ``pkcs11_key.Pkcs11Key`` cannot be copied."""

    def __init__(self, file: Path) -> None:
        """Read the key.

        Raises:
            SettingsError: it is missing, readable by others, or not a P-256 key.
        """
        self.signing_key = load_private_file(file)
        self.public_key = self.signing_key.public_key()


class KeySigner:
    """A ``ports.Signer`` with any key."""

    def __init__(self, key: ReportKey) -> None:
        self._key = key.signing_key
        self.key_id = key_id(key.public_key)

    def sign(self, message: Message) -> bytes:
        """See ``ports.Signer``."""
        try:
            return sign(message, self._key, self.key_id)
        except ValueError as error:
            raise SignerError(str(error)) from error


def open_report_key(settings: LoadedSettings) -> ReportKey:
    """Return the report key that the settings name.

    Raises:
        SettingsError: its file cannot be used, or its place is described wrongly.
        SignerError: the token that holds it does not give it.
    """
    values = settings.values
    if values.report_key_file is not None:
        return FileKey(settings.path(values.report_key_file))
    from device_agent.pkcs11_key import Pkcs11Key  # noqa: PLC0415 - an optional package, and memory for those who use it

    return Pkcs11Key(values.report_key_pkcs11 or "")


def load_private_file(file: Path) -> EllipticCurvePrivateKey:
    """Read the report key.

    Raises:
        SettingsError: it is missing, readable by others, or not a P-256 key.
    """
    try:
        key = load_private(read_secret(file))
    except ValueError as error:
        raise SettingsError(file, f"not a P-256 private key in PKCS#8 PEM ({error})") from error
    if not isinstance(key, EllipticCurvePrivateKey):
        raise SettingsError(file, "reports are signed ES256: give a P-256 key, not Ed25519")
    return key


def load_command_keys(files: Sequence[Path]) -> dict[str, PublicKey]:
    """Read the service's command keys by their ids; two while they are being changed.

    Raises:
        SettingsError: there is none, one is missing, or one is not Ed25519.
    """
    keys: dict[str, PublicKey] = {}
    for file in files:
        try:
            key = load_public(file.read_text(encoding="ascii"))
        except (OSError, ValueError) as error:
            raise SettingsError(file, f"cannot read a command key ({error})") from error
        if not isinstance(key, Ed25519PublicKey):
            raise SettingsError(file, "commands are signed EdDSA: give an Ed25519 public key")
        keys[key_id(key)] = key
    return keys


def read_secret(file: Path) -> str:
    """Read a file that only its owner may read.

    Raises:
        SettingsError: it is missing, not text, or open to group or others.
    """
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        text = file.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise SettingsError(file, f"cannot read it ({error})") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SettingsError(file, f"mode {mode:04o} lets others read a secret; run: chmod 600 {file}")
    return text
