"""Photographs and files that only look like them, and the measurement of the reader on real ones.

    python -m tests.support.photos FOLDER

prints how many of the folder's pictures are read as the text file beside each says, and how long that takes.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import struct
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from session_service.clock import Clock
from session_service.labels.errors import NoLabelInPhotoError
from session_service.labels.reader import Grey, read
from session_service.labels.token import LabelKeys, mint

HOST = "UNLATCH.EXAMPLE"
KEYS = LabelKeys(secrets={"A": b"a" * 32, "B": b"b" * 32}, current="A")


def label_text(number: int = 1) -> str:
    """Return a genuine label's text; equal numbers give equal labels."""
    return mint(KEYS, host=HOST, label_id=f"{number:010}", generation=1)


def png_of_zeros(width: int, height: int) -> bytes:
    """Return a valid PNG, all black, of any size, without ever holding its pixels."""
    packer = zlib.compressobj(9)
    row = bytes(1 + width)
    packed = b"".join([packer.compress(row) for _ in range(height)] + [packer.flush()])
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def picture_file(pixels: Grey, kind: str, **options: object) -> bytes:
    """Return the pixels as a file of this kind."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def real_photographs() -> Path | None:
    """Return the folder of real photographs, if this machine has it."""
    beside = Path(__file__).parents[3] / "shared" / "data" / "qr-photos"
    folder = Path(os.environ.get("UNLATCH_QR_PHOTOS", beside))
    return folder if folder.is_dir() else None


@dataclass(frozen=True, slots=True)
class Measured:
    """What the reader made of a folder of photographs."""

    right: int
    wrong: list[str]
    unread: list[str]
    times_ms: list[float]

    def __str__(self) -> str:
        cuts = statistics.quantiles(self.times_ms, n=100)
        return (
            f"read {self.right} of {len(self.times_ms)}, wrong {self.wrong}, unread {self.unread};"
            f" median {cuts[49]:.1f} ms, p95 {cuts[94]:.1f} ms, longest {max(self.times_ms):.1f} ms"
        )


def measure(folder: Path) -> Measured:
    """Read every picture in the folder, taking the first text found for its answer."""
    result = Measured(0, [], [], [])
    right = 0
    for picture in sorted(folder.glob("*/*.png")):
        data = picture.read_bytes()
        expected = picture.with_suffix(".txt").read_bytes().decode()
        start = time.perf_counter()
        text = _read_any(data)
        result.times_ms.append((time.perf_counter() - start) * 1000)
        name = f"{picture.parent.name}/{picture.stem}"
        if text == expected:
            right += 1
        else:
            (result.unread if text is None else result.wrong).append(name)
    return Measured(right, result.wrong, result.unread, result.times_ms)


def _read_any(data: bytes) -> str | None:
    try:
        return read(data, lambda _text: True, now_ms=Clock().now_ms)
    except NoLabelInPhotoError:
        return None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure the reader on a folder of photographs of QR codes.")
    parser.add_argument("folder", type=Path)
    print(measure(parser.parse_args().folder))  # noqa: T201 - its output
