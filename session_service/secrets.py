"""The keys of an installation: one file each, in a folder that only the service may read."""

from __future__ import annotations

import secrets as random
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.contract import keys
from session_service import keyring
from session_service.clock import CROCKFORD
from session_service.errors import SetupError
from session_service.keyring import FIRST_KEY, FOLDER, KEYRING, KeyEntry, Keyring, KeyState
from session_service.secret_text import ensure_private, place_of, read_secret

LABEL_KEY: Final = "label-key-{}"  # one file a key id; the last in order is the current one
TOKEN_SECRET: Final = "token-secret"  # noqa: S105 - the file's name
PAYMENT_API_KEY: Final = "payment-api-key"
LABEL_KEY_BYTES: Final = 32  # as long as the hash, RFC 2104 section 3
WEBHOOK_SECRET: Final = "payment-webhook-secret"  # noqa: S105 - the file's name


class CommandKeys:
    """The command keys as they stand now: an operator may change them while the service runs (``keyring.py``).

    Attributes:
        ring: which key is for what.
        current: the key that signs.
        current_id: its name.
        listed: the public keys, PEM by key id, that devices are to obey.
    """

    def __init__(self, ring: Keyring, held: dict[str, Ed25519PrivateKey], folder: Path | None = None) -> None:
        """Take the private keys by their ids; ``folder`` is where changes of them are looked for."""
        self._folder = folder
        self._stamp = (0, 0)
        self._use(ring, held)

    @classmethod
    def of(cls, key: Ed25519PrivateKey) -> Self:
        """Return a keyring of one key that never changes, for tests and tools."""
        name = keys.key_id(key.public_key())
        entry = KeyEntry(key_id=name, state=KeyState.CURRENT, file=FIRST_KEY)
        return cls(Keyring(keys=(entry,)), {name: key})

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the keys in ``folder``.

        Raises:
            OSError, ValueError: one is missing or damaged.
        """
        stamp = keyring.stamp(folder)
        made = cls(*_ring_and_keys(folder), folder)
        made._stamp = stamp  # taken before: what changes meanwhile is seen at the next look
        return made

    def refresh(self) -> bool:
        """Follow a change on the disk; return whether there was one.

        Raises:
            OSError, ValueError: a file is missing or damaged; the keys stay as they were.
        """
        if self._folder is None or (stamp := keyring.stamp(self._folder)) == self._stamp:
            return False
        self._use(*_ring_and_keys(self._folder))
        self._stamp = stamp
        return True

    def held(self, key_id: str) -> Ed25519PrivateKey | None:
        """Return the private half of a key that is not lost."""
        return self._held.get(key_id)

    def _use(self, ring: Keyring, held: dict[str, Ed25519PrivateKey]) -> None:
        self.ring, self._held = ring, held
        self.current_id = ring.current.key_id
        self.current = held[self.current_id]
        self.listed = {name: keys.public_pem(held[name].public_key()) for name in ring.listed}


def _ring_and_keys(folder: Path) -> tuple[Keyring, dict[str, Ed25519PrivateKey]]:
    ring = keyring.read(folder)
    kept = [entry for entry in ring.keys if entry.state is not KeyState.REMOVED]
    held = {entry.key_id: keyring.read_key(folder, entry.file) for entry in kept}
    for name, key in held.items():
        if keys.key_id(key.public_key()) != name:
            msg = f"the file of command key {name} holds another key"
            raise ValueError(msg)
    return ring, held


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """What must not be known outside.

    ``label_keys`` are the keys of the labels' macs by their ids; the greatest id is the one for new labels.
    """

    command_keys: CommandKeys
    label_keys: dict[str, bytes]
    token_secret: bytes
    payment_api_key: str
    webhook_secret: str

    @property
    def command_key(self) -> Ed25519PrivateKey:
        """The key that signs commands now."""
        return self.command_keys.current

    @property
    def command_key_id(self) -> str:
        """Its name."""
        return self.command_keys.current_id


def make_secrets(folder: Path) -> list[Path]:
    """Write the secrets that ``folder`` lacks, each readable by its owner only; return the new files."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = {
        FIRST_KEY: lambda: keys.private_pem(keys.new_command_key()),
        LABEL_KEY.format("A"): lambda: random.token_hex(32),
        TOKEN_SECRET: lambda: random.token_hex(32),
        PAYMENT_API_KEY: lambda: random.token_urlsafe(32),
        WEBHOOK_SECRET: lambda: random.token_hex(32),
    }
    if (folder / FOLDER / KEYRING).exists():
        del wanted[FIRST_KEY]  # it may be gone for good: lost keys are deleted
    made = [folder / name for name in wanted if not place_of(name, folder).exists()]
    for path in made:
        path.touch(mode=0o600)
        path.write_text(wanted[path.name]())
    return made


def load_secrets(folder: Path) -> Secrets:
    """Read the secrets.

    Raises:
        SetupError: one is missing, damaged, readable by everybody or too easy to guess.
    """
    try:
        command_keys = CommandKeys.read(folder)
        labels = {p.name.removeprefix("label-key-"): bytes.fromhex(p.read_text()) for p in folder.glob("label-key-*")}
        rest = {name: read_secret(name, folder) for name in (TOKEN_SECRET, PAYMENT_API_KEY, WEBHOOK_SECRET)}
        for path in (*folder.iterdir(), *(folder / FOLDER).glob("*")):
            ensure_private(path)
    except (OSError, ValueError) as error:
        msg = f"A secret is missing or damaged ({error}). Make the missing ones: unlatch secrets"
        raise SetupError(msg) from error
    if not labels:
        msg = f"{folder} has no label key. Make one: unlatch secrets"
        raise SetupError(msg)
    for name, secret in labels.items():
        if len(name) != 1 or name not in CROCKFORD or len(secret) < LABEL_KEY_BYTES:
            path = folder / LABEL_KEY.format(name)
            msg = f"{path} is no label key: its id is one character of {CROCKFORD}, its content 64 hexadecimal digits."
            raise SetupError(msg)
    return Secrets(
        command_keys=command_keys,
        label_keys=labels,
        token_secret=bytes.fromhex(rest[TOKEN_SECRET]),
        payment_api_key=rest[PAYMENT_API_KEY],
        webhook_secret=rest[WEBHOOK_SECRET],
    )
