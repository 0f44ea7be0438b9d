"""Room on the card that belongs to the journal: what a full card still takes, so that a ride that runs can end.

A file of that size lies beside the journal. When the card is full and something must be written that is worth more
than the file, a piece of the file is given up for it. While the file is not whole no new ride begins.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from device_agent.files import sync_folder

ROOM_BYTES: Final = 1_048_576  # 256 refusals that are remembered (350 KiB), and 300 reports of rides that run
PIECE_BYTES: Final = 65_536  # given up at a time: what others write meanwhile cannot take more than this


class Room:
    """The file. Each method is cheap while it is whole."""

    def __init__(self, file: Path) -> None:
        """Take the room, as far as there is any."""
        self._file = file
        self.take()

    def take(self) -> bool:
        """Take what is missing; return whether the room is whole."""
        if self._size() == ROOM_BYTES:
            return True
        try:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, ROOM_BYTES)  # blocks of its own, without writing them
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            sync_folder(self._file.parent)
        except OSError:
            return False
        return True

    def give(self) -> bool:
        """Give a piece up; return whether there was one."""
        size = self._size()
        if not size:
            return False
        try:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.ftruncate(descriptor, max(0, size - PIECE_BYTES))
                os.fsync(descriptor)  # file systems reuse blocks only when it is on the disk that they are free
            finally:
                os.close(descriptor)
        except OSError:
            return False
        return True

    def _size(self) -> int:
        try:
            return self._file.stat().st_size
        except OSError:
            return 0
