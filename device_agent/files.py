"""Files that are there whole or not at all, also after a power cut."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

SECRET: Final = 0o600
PUBLIC: Final = 0o644


def write(file: Path, text: str, mode: int) -> None:
    """Write a file, in place of the one that is there, if any.

    Raises:
        OSError: the file that was there is untouched.
    """
    written = _beside(file, text, mode)
    try:
        written.replace(file)
    except OSError:
        written.unlink(missing_ok=True)
        raise
    sync_folder(file.parent)


def write_new(file: Path, text: str, mode: int) -> str:
    """Write a file unless it is there already; return what stands in it now. Of two who try at once, one succeeds.

    Raises:
        OSError: there is none, and it cannot be written; or it cannot be read.
    """
    if not file.exists():
        written = _beside(file, text, mode)
        try:
            os.link(written, file)
        except FileExistsError:
            pass
        finally:
            written.unlink()
        sync_folder(file.parent)
    return file.read_text(encoding="utf-8")


def sync_folder(folder: Path) -> None:
    """Have the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(file: Path, text: str, mode: int) -> Path:
    """Write a file under another name, for its owner only until it is complete."""
    import tempfile  # noqa: PLC0415 - with all that it loads 600 KiB; the agent itself writes no such file

    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fchmod(opened.fileno(), mode)
        os.fsync(opened.fileno())
    return Path(name)
