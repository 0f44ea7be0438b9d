"""The command keys of an installation: which one signs, which ones devices are to obey, and how that has changed.

In the folder of the secrets the first key is ``command-key.pem``. Once keys have been changed there is a folder beside
it: ``command-keys/keyring.json`` says what each key is for and who changed that, ``command-keys/2.pem`` and so on are
the later keys. Every file is readable by its owner only. The running service follows ``keyring.json``.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.contract import keys
from broker.contract.messages import MAX_COMMAND_KEYS
from session_service.errors import ConflictError, SetupError

FIRST_KEY: Final = "command-key.pem"
FOLDER: Final = "command-keys"
KEYRING: Final = "keyring.json"


class KeyringError(ConflictError):
    """The keys do not allow this change."""

    type = "keyring"
    title = "The command keys cannot be changed so"


class KeyState(StrEnum):
    """What a key is for."""

    CURRENT = "current"  # signs, and devices obey it
    TRUSTED = "trusted"  # devices obey it
    RETIRED = "retired"  # kept to reach devices that have been away since it was in use; the others refuse it
    REMOVED = "removed"  # lost; its private half is gone


LISTED: Final = (KeyState.CURRENT, KeyState.TRUSTED)


class KeyEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One key; ``file`` is where its private half lies, relative to the folder of the secrets."""

    key_id: str
    state: KeyState
    file: str
    made_at_ms: int = 0


class By(msgspec.Struct, frozen=True):
    """Who changes the keys, when (real time), and why."""

    actor: str
    at_ms: int
    why: str = ""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of the keyring; ``number`` counts from 1."""

    number: int
    action: str
    key_id: str
    by: By


class Keyring(msgspec.Struct, frozen=True, kw_only=True):
    """The keys in the order in which they were made, and all changes. Its methods return a changed copy."""

    keys: tuple[KeyEntry, ...]
    changes: tuple[Change, ...] = ()

    @property
    def number(self) -> int:
        """How often the keys have been changed."""
        return len(self.changes)

    @property
    def current(self) -> KeyEntry:
        """The key that signs."""
        return next(entry for entry in self.keys if entry.state is KeyState.CURRENT)

    @property
    def listed(self) -> tuple[str, ...]:
        """The ids of the keys that devices are to obey, in alphabetical order."""
        return tuple(sorted(entry.key_id for entry in self.keys if entry.state in LISTED))

    def rotated(self, key_id: str, by: By) -> Keyring:
        """Add the next key, which devices are to obey from now on beside the present ones.

        Raises:
            KeyringError: a configuration holds no more keys.
        """
        if len(self.listed) >= MAX_COMMAND_KEYS:
            msg = f"Devices obey {MAX_COMMAND_KEYS} keys at the most. Retire one first: unlatch keys retire KEY_ID"
            raise KeyringError(msg)
        file = f"{FOLDER}/{len(self.keys) + 1}.pem"
        entry = KeyEntry(key_id=key_id, state=KeyState.TRUSTED, file=file, made_at_ms=by.at_ms)
        return self._with((*self.keys, entry), "keys.rotate", key_id, by)

    def activated(self, key_id: str, by: By) -> Keyring:
        """Sign with another trusted key; devices go on obeying the former one.

        Raises:
            KeyringError: the key is not there, or not trusted.
        """
        self._of(key_id, KeyState.TRUSTED)
        states = {self.current.key_id: KeyState.TRUSTED, key_id: KeyState.CURRENT}
        return self._with(self._set(states), "keys.activate", key_id, by)

    def retired(self, key_id: str, by: By) -> Keyring:
        """Let devices obey a key no more.

        Raises:
            KeyringError: the key is not there, or it is the one that signs.
        """
        self._of(key_id, KeyState.TRUSTED)
        return self._with(self._set({key_id: KeyState.RETIRED}), "keys.retire", key_id, by)

    def removed(self, key_id: str, by: By) -> Keyring:
        """Give a lost key up at once. If it was the one that signs, the newest of the trusted ones takes its place.

        Raises:
            KeyringError: the key is not there, or no other is left.
        """
        lost = self._of(key_id, *LISTED, KeyState.RETIRED)
        states = {key_id: KeyState.REMOVED}
        if lost.state is KeyState.CURRENT:
            states[self.newest_trusted().key_id] = KeyState.CURRENT
        return self._with(self._set(states), "keys.remove", key_id, by)

    def newest_trusted(self) -> KeyEntry:
        """Return the newest key that devices obey and that does not sign.

        Raises:
            KeyringError: there is none.
        """
        trusted = [entry for entry in self.keys if entry.state is KeyState.TRUSTED]
        if not trusted:
            msg = "There is no other key that devices obey. Make one: unlatch keys rotate"
            raise KeyringError(msg)
        return trusted[-1]

    def only_trusted(self) -> KeyEntry:
        """Return the one key that devices obey and that does not sign.

        Raises:
            KeyringError: there is none, or more than one.
        """
        found = self.newest_trusted()
        if sum(entry.state is KeyState.TRUSTED for entry in self.keys) > 1:
            msg = "Devices obey several other keys. Say which one; see: unlatch keys list"
            raise KeyringError(msg)
        return found

    def _of(self, key_id: str, *states: KeyState) -> KeyEntry:
        for entry in self.keys:
            if entry.key_id == key_id and entry.state in states:
                return entry
        msg = f"No key {key_id} is {' or '.join(states)}. See what there is: unlatch keys list"
        raise KeyringError(msg)

    def _set(self, states: dict[str, KeyState]) -> tuple[KeyEntry, ...]:
        return tuple(msgspec.structs.replace(entry, state=states.get(entry.key_id, entry.state)) for entry in self.keys)

    def _with(self, entries: tuple[KeyEntry, ...], action: str, key_id: str, by: By) -> Keyring:
        change = Change(number=self.number + 1, action=action, key_id=key_id, by=by)
        return Keyring(keys=entries, changes=(*self.changes, change))


# -- On the disk


def read(folder: Path) -> Keyring:
    """Return the keyring of the secrets in ``folder``; of one that was never changed it is the first key alone.

    Raises:
        OSError, ValueError: it is missing, unreadable or damaged.
    """
    path = folder / FOLDER / KEYRING
    if path.exists():
        try:
            return msgspec.json.decode(path.read_bytes(), type=Keyring)
        except msgspec.MsgspecError as error:
            msg = f"{path}: {error}"
            raise ValueError(msg) from error
    first = keys.key_id(read_key(folder, FIRST_KEY).public_key())
    return Keyring(keys=(KeyEntry(key_id=first, state=KeyState.CURRENT, file=FIRST_KEY),))


def read_key(folder: Path, file: str) -> Ed25519PrivateKey:
    """Return a private key.

    Raises:
        OSError, ValueError: it is missing, unreadable, or not Ed25519.
    """
    key = keys.load_private((folder / file).read_text())
    if not isinstance(key, Ed25519PrivateKey):
        msg = f"{folder / file} is not an Ed25519 key"
        raise ValueError(msg)  # noqa: TRY004 - of a file's content
    return key


def stamp(folder: Path) -> tuple[int, int]:
    """Return what differs after every change, without reading anything: the file is always a new one."""
    try:
        state = (folder / FOLDER / KEYRING).stat()
    except FileNotFoundError:
        return (0, 0)
    return (state.st_ino, state.st_mtime_ns)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only one who changes the keys in ``folder``.

    Raises:
        SetupError: the folder is not there, or somebody else is changing them.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        msg = f"Cannot open the secrets ({error}). Make them first: unlatch secrets"
        raise SetupError(msg) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        msg = "Somebody else is changing the keys. Try again in a moment."
        raise SetupError(msg) from error
    finally:
        os.close(handle)


def write(folder: Path, ring: Keyring, new: Ed25519PrivateKey | None = None) -> None:
    """Store a changed keyring: a new key first, and only then what speaks of it; lost keys are deleted last.

    Raises:
        OSError: it cannot be written; the keyring is as it was before.
    """
    (folder / FOLDER).mkdir(mode=0o700, exist_ok=True)
    if new is not None:
        _write(folder / ring.keys[-1].file, keys.private_pem(new).encode())
    _write(folder / FOLDER / KEYRING, msgspec.json.format(msgspec.json.encode(ring)))
    for entry in ring.keys:
        if entry.state is KeyState.REMOVED:
            (folder / entry.file).unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)  # the new name too must outlive a power cut: a key that devices obey and nobody has is lost
    finally:
        os.close(handle)
