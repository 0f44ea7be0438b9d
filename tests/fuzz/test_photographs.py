"""Files that were photographs of labels once: a genuine label, or one of the documented problems, in bounded memory."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from itertools import count
from typing import Final

import numpy as np
import pytest
from PIL import Image

from session_service.errors import Problem
from session_service.labels import render, service
from session_service.labels.errors import (
    ForeignLabelError,
    ForgedLabelError,
    MalformedLabelError,
    NoLabelInPhotoError,
    PhotoFormatError,
    PhotoTooLargeError,
    PhotoUnreadableError,
)
from session_service.labels.reader import PHOTO_MAX_BYTES, Grey, read
from tests.support import mutations
from tests.support.fuzzing import MIB, Area, Fuzzing
from tests.support.photos import HOST, KEYS, label_text, picture_file

GENUINE: Final = label_text(1)
# One picture of 25 megapixels being decoded takes 121 MiB (DESIGN 6), and its smaller copies are searched.
GROWTH_MAX_BYTES: Final = 200 * MIB
STEPS_MS: Final = (0, 130, 700, 700)  # of the clock at each look: all attempts, some, mostly the first alone
SIDES: Final = (0, 1, 2, 500, 3_000, 5_000, 5_001, 16_383, 65_535, 100_000, 2**31 - 1, 2**32 - 1)


def _pictures() -> Iterator[bytes]:
    label = Image.open(io.BytesIO(render.png(GENUINE, 17, module_px=3))).convert("L")
    straight = np.asarray(label)
    turned = np.asarray(label.rotate(17, expand=True, fillcolor=255))
    noisy = (straight.astype(int) + np.random.default_rng(1).integers(-40, 40, straight.shape)).clip(0, 255)
    for pixels in (straight, turned, noisy.astype(np.uint8)):
        yield from (picture_file(_grey(pixels), kind) for kind in ("JPEG", "PNG", "WEBP"))
    yield picture_file(_grey(straight), "JPEG", quality=30, progressive=True)
    yield picture_file(_grey(straight), "WEBP", lossless=True)
    palette = io.BytesIO()
    label.convert("P").save(palette, "PNG")
    yield palette.getvalue()


def _grey(pixels: Grey) -> Grey:
    return np.ascontiguousarray(pixels)


CORPUS: Final = tuple(_pictures())


def other_size(chance: random.Random, file: bytes) -> bytes:
    """Return the file with a header that tells another size, right in all else."""
    wide, high = chance.choice(SIDES), chance.choice(SIDES)
    if file.startswith(b"\x89PNG"):
        header = struct.pack(">II", wide, high) + file[24:29]
        return file[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + file[33:]
    if file.startswith(b"\xff\xd8"):
        at = max(file.find(b"\xff\xc0"), file.find(b"\xff\xc2"))
        return file[: at + 5] + struct.pack(">HH", high & 0xFFFF, wide & 0xFFFF) + file[at + 9 :]
    return file[:26] + struct.pack("<HH", wide & 0xFFFF, high & 0xFFFF) + file[30:]


def cut(chance: random.Random, file: bytes) -> bytes:
    return file[: chance.randrange(len(file))]


def spliced(chance: random.Random, file: bytes) -> bytes:
    other = chance.choice(CORPUS)
    return file[: chance.randrange(len(file))] + other[chance.randrange(len(other)) :]


def altered(chance: random.Random, file: bytes) -> bytes:
    return mutations.bytes_of(chance, file, chance.choice(CORPUS))


def a_chunk_altered(chance: random.Random, file: bytes) -> bytes:
    """Change a PNG's chunk and make its checksum right again, so that what is behind the checksum is reached."""
    if not file.startswith(b"\x89PNG"):
        return altered(chance, file)
    body = zlib.decompress(b"".join(part for kind, part in _chunks(file) if kind == b"IDAT"))
    packed = mutations.bytes_of(chance, zlib.compress(mutations.bytes_of(chance, body)) if body else body)
    kind = chance.choice((b"IDAT", b"tEXt", b"zTXt", b"iCCP", b"PLTE", b"tRNS", b"acTL", b"eXIf"))
    made = struct.pack(">I", len(packed)) + kind + packed + struct.pack(">I", zlib.crc32(kind + packed))
    return file[:33] + made + file[33 if chance.random() < 0.5 else -12 :]


def _chunks(file: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(file):
        (size,) = struct.unpack(">I", file[at : at + 4])
        yield file[at + 4 : at + 8], file[at + 8 : at + 8 + size]
        at += size + 12


def behind_a_signature(chance: random.Random, file: bytes) -> bytes:
    return file[: chance.choice((3, 8, 12, 30))] + chance.randbytes(chance.choice((0, 10, 2_000)))


def too_long(_: random.Random, file: bytes) -> bytes:
    return file + bytes(PHOTO_MAX_BYTES)


def untouched(_: random.Random, file: bytes) -> bytes:
    return file


WAYS: Final[tuple[Callable[[random.Random, bytes], bytes], ...]] = (
    *(altered, a_chunk_altered, spliced, cut, other_size) * 5,
    behind_a_signature,
    too_long,
    untouched,
)


def is_genuine(text: str) -> bool:
    try:
        return service.genuine(text, KEYS, host=HOST).text == GENUINE
    except (MalformedLabelError, ForeignLabelError, ForgedLabelError):
        return False


def outcome_of(file: bytes, step_ms: int) -> str:
    """Return what the reader says: one of its problems, or that it has read the label."""
    try:
        text = read(file, is_genuine, now_ms=count(0, step_ms).__next__)
    except (PhotoTooLargeError, PhotoFormatError, PhotoUnreadableError, NoLabelInPhotoError) as problem:
        return problem.type
    return "read" if is_genuine(text) else f"read something else: {text!r}"


@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")  # as in the service, where pytest has no say
@pytest.mark.filterwarnings("ignore:Invalid APNG")
@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
def test_a_file_that_was_a_photograph_is_read_or_refused() -> None:
    problems: tuple[type[Problem], ...] = (
        PhotoTooLargeError,
        PhotoFormatError,
        PhotoUnreadableError,
        NoLabelInPhotoError,
    )
    known = {"read", *(problem.type for problem in problems)}
    with Fuzzing(Area.PHOTOGRAPHS, growth_max_bytes=GROWTH_MAX_BYTES) as run:
        for chance in run:
            file = chance.choice(WAYS)(chance, chance.choice(CORPUS))
            outcome = outcome_of(file, chance.choice(STEPS_MS))
            assert outcome in known
            run.outcomes[outcome] += 1
        run.saw(*known)
