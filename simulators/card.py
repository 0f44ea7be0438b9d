"""A memory card in a file: a small ext4 that can lose its power, be full, and count what is written to it.

For root on Linux only. What is in the file is what the card would have kept: the file system's own cache is not in it
before it is synced.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from simulators.errors import CardError

LEAST_BYTES: Final = 8 * 1_048_576  # on less ext4 has no journal
SECTOR_BYTES: Final = 512  # /sys/block/*/stat counts in these, whatever the device
_WRITTEN: Final = 6  # which field of it: sectors written
_PROGRAMS: Final = "/usr/sbin:/sbin:/usr/bin:/bin"


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

    def written_bytes(self) -> int:
        """Return what has been written to it since it was mounted, the file system's own included."""
        subprocess.run([_program("sync"), "-f", self.place], check=True)  # noqa: S603 - the system's own
        device = self.place.stat().st_dev
        stat = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
        return int(stat.read_text(encoding="ascii").split()[_WRITTEN]) * SECTOR_BYTES


@contextmanager
def new_card(folder: Path, *, size_bytes: int = LEAST_BYTES, block_bytes: int = 1_024) -> Iterator[Card]:
    """Make a card in a folder and mount it there.

    Raises:
        CardError: that cannot be done here.
    """
    image = folder / "card.img"
    with image.open("wb") as file:
        file.truncate(size_bytes)
    make = shutil.which("mkfs.ext4", path=_PROGRAMS)
    if os.getuid() != 0 or make is None:
        msg = "a card is made and mounted by root, with mkfs.ext4"
        raise CardError(msg)
    # All at once: what the kernel would still make later would count as written by whoever uses it.
    made = [make, "-q", "-F", "-m", "0", "-b", str(block_bytes), "-E", "lazy_itable_init=0,lazy_journal_init=0"]
    subprocess.run([*made, str(image)], check=True)  # noqa: S603 - the system's own
    with mounted(image, folder / "card") as place:
        yield Card(image, place)


@contextmanager
def mounted(image: Path, place: Path) -> Iterator[Path]:
    """Mount a card, as a machine does that boots from it.

    Raises:
        CardError: there is no loop device to mount it with.
    """
    place.mkdir(exist_ok=True)
    command = [_program("mount"), "-o", "loop", str(image), str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - the system's own
    if done.returncode:
        msg = f"the card is not mounted: {done.stderr.strip()}"
        raise CardError(msg)
    try:
        yield place
    finally:  # what failed may have left a file open
        subprocess.run([_program("umount"), "--lazy", place], check=True)  # noqa: S603 - the system's own


def _program(name: str) -> str:
    return shutil.which(name, path=_PROGRAMS) or name
