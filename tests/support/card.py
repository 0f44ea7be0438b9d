"""A memory card for tests: a small ext4 in a file, that can lose its power and be full. For root on Linux only.

What is in the file is what the card would have kept: the file system's own cache is not in it before it is synced.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SIZE = 8 * 1_048_576  # the least on which ext4 has a journal


class Card:
    """A card and where it is mounted."""

    def __init__(self, image: Path, place: Path) -> None:
        self.image = image
        self.place = place

    def fill(self) -> None:
        """Write until nothing more goes on it."""
        with (self.place / "filler").open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(1_024))
            except OSError:
                os.fsync(filler.fileno())

    def clear(self) -> None:
        """Take away what ``fill`` wrote."""
        (self.place / "filler").unlink()

    def as_after_a_cut(self, image: Path) -> None:
        """Copy what would be there if the power failed now."""
        shutil.copyfile(self.image, image)


@contextmanager
def new_card(folder: Path) -> Iterator[Card]:
    """Make a card and mount it; skip the test where that cannot be."""
    image = folder / "card.img"
    with image.open("wb") as file:
        file.truncate(SIZE)
    if os.getuid() != 0 or shutil.which("mkfs.ext4", path="/usr/sbin:/sbin:/usr/bin") is None:
        pytest.skip("a card is mounted by root, with mkfs.ext4")
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-b", "1024", image], check=True)
    with mounted(image, folder / "card") as place:
        yield Card(image, place)


@contextmanager
def mounted(image: Path, place: Path) -> Iterator[Path]:
    """Mount a card, as a machine does that boots from it."""
    place.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-o", "loop", image, place], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no loop device to mount a card with: {done.stderr}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)  # a test that failed may have left a file open
