"""The keys of the labels' macs as files: listed, added, retired, and noticed by the services that run.

A key is the file ``label-key-{id}`` in the folder of secrets; the greatest id signs new labels. A retired one is kept
as ``retired-label-key-{id}``, which nothing reads, so that a mistake can be mended by hand and no id comes twice.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, cast

from fastapi import Depends, Request

from session_service.clock import stopwatch_s
from session_service.labels.errors import LabelKeyError
from session_service.labels.token import CROCKFORD, SECRET_MIN_BYTES, LabelKeys

logger = logging.getLogger(__name__)

PREFIX: Final = "label-key-"
RETIRED_PREFIX: Final = "retired-label-key-"
FIRST_ID: Final = "A"  # 22 letters follow it: one a year outlives the stickers
LOOK_EVERY_S: Final = 1.0  # a look at the folder takes microseconds; nobody waits a second for a new key


class KeyRing:
    """The keys as they are now. Calling it costs no more than an attribute, and looks at the folder once a second.

    A change is noticed without a restart, in every service that reads this folder. If a file is unreadable the keys
    stay as they were, and the log says so: riders go on, and the mistake is not theirs.
    """

    def __init__(self, folder: Path, known: Mapping[str, bytes]) -> None:
        self._folder = folder
        self._keys = LabelKeys.newest_current(known)
        self._looked_s = stopwatch_s()
        self._seen = _signature(folder)

    def __call__(self) -> LabelKeys:
        """Return the keys."""
        if stopwatch_s() - self._looked_s >= LOOK_EVERY_S:
            self.refresh()
        return self._keys

    def refresh(self) -> None:
        """Look at the folder now."""
        self._looked_s = stopwatch_s()
        seen = _signature(self._folder)
        if seen == self._seen:
            return
        try:
            self._keys = LabelKeys.newest_current(read_keys(self._folder))
        except (OSError, ValueError):
            logger.exception("the label keys in %s cannot be read; those known so far stay", self._folder)
        else:
            logger.warning("label keys now: %s", " ".join(sorted(self._keys.secrets)))
        self._seen = seen

    # -- What operators change; under the same folder for the command line and for a running service

    def next_id(self) -> str:
        """Return the id after the greatest that was ever in use.

        Raises:
            LabelKeyError: there is none left.
        """
        used = [path.name[-1] for prefix in (PREFIX, RETIRED_PREFIX) for path in self._folder.glob(f"{prefix}?")]
        later = [key_id for key_id in CROCKFORD if key_id > max(used, default="")]
        if not later:
            msg = "All ids of label keys have been used. Give the labels another host, with keys of its own."
            raise LabelKeyError(msg)
        return max(later[0], FIRST_ID)

    def rotate(self) -> str:
        """Add a key that signs new labels from now on; return its id. Labels under older keys stay good.

        Raises:
            LabelKeyError: there is no id left, or the folder cannot be written.
        """
        key_id = self.next_id()
        path = self._folder / f"{PREFIX}{key_id}"
        part = self._folder / f".{path.name}"  # no service ever reads half a key
        try:
            part.touch(mode=0o600)
            part.write_text(secrets.token_hex(SECRET_MIN_BYTES))
            part.rename(path)
        except OSError as error:
            raise _not_writable(error) from error
        self.refresh()
        return key_id

    def retire(self, key_id: str) -> None:
        """Stop accepting a key: every label under it is forged from now on.

        Raises:
            LabelKeyError: it is the current one or none of ours, or the folder cannot be written.
        """
        path = self.retirable(key_id)
        try:
            path.rename(self._folder / f"{RETIRED_PREFIX}{key_id}")
        except OSError as error:
            raise _not_writable(error) from error
        self.refresh()

    def retirable(self, key_id: str) -> Path:
        """Return the file of a key that may be retired.

        Raises:
            LabelKeyError: it may not.
        """
        self.refresh()
        if key_id not in self._keys.secrets:
            msg = f"There is no key {key_id}. Those in use: {' '.join(sorted(self._keys.secrets))}."
            raise LabelKeyError(msg)
        if key_id == self._keys.current:
            msg = f"Key {key_id} signs new labels. Rotate first: unlatch label keys rotate"
            raise LabelKeyError(msg)
        return self._folder / f"{PREFIX}{key_id}"


def read_keys(folder: Path) -> dict[str, bytes]:
    """Return the keys in a folder by their ids.

    Raises:
        OSError, ValueError: one cannot be read.
    """
    return {path.name.removeprefix(PREFIX): bytes.fromhex(path.read_text()) for path in folder.glob(f"{PREFIX}*")}


def _signature(folder: Path) -> tuple[tuple[str, int], ...]:
    """Return what changes when a key does: names and times. A folder that is away looks empty."""
    try:
        return tuple(sorted((path.name, path.stat().st_mtime_ns) for path in folder.glob(f"{PREFIX}*")))
    except OSError:
        return ()


def _not_writable(error: OSError) -> LabelKeyError:
    msg = (
        f"The folder of secrets cannot be written ({error.strerror}). Do it where it can: unlatch label keys ..., and "
        "services that read the folder notice within a second."
    )
    return LabelKeyError(msg)


async def key_ring(request: Request) -> KeyRing:
    """Return the running service's keys."""
    return cast("KeyRing", request.app.state.label_keys)


InKeys = Annotated[KeyRing, Depends(key_ring)]
