from __future__ import annotations

import asyncio
import contextlib
import io
import os
import threading
import warnings
import zlib
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from session_service.clock import Clock
from session_service.errors import Problem
from session_service.labels import reader
from session_service.labels.errors import (
    NoLabelInPhotoError,
    PhotoFormatError,
    PhotoReaderBusyError,
    PhotoTooLargeError,
    PhotoUnreadableError,
)
from session_service.labels.reader import PHOTO_MAX_BYTES, PhotoReader, read
from session_service.labels.render import png
from session_service.labels.token import looks_like_label
from simulators.camera import Difficulty, photograph
from tests.support.photos import label_text, measure, picture_file, png_of_zeros, real_photographs

TEXT = label_text()
now_ms = Clock().now_ms
LEAST_READ = 168  # of 179 real photographs


def _label_pixels(module_px: int = 6) -> reader.Grey:
    return np.asarray(Image.open(io.BytesIO(png(TEXT, 1042, module_px=module_px))))


def _colour(module_px: int = 6) -> reader.Grey:
    return np.stack([_label_pixels(module_px)] * 3, axis=2)


def _read(data: bytes) -> str:
    return read(data, looks_like_label, now_ms=now_ms)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_three_formats_are_read(kind: str) -> None:
    assert _read(picture_file(_colour(), kind)) == TEXT
    assert _read(picture_file(_label_pixels(), kind)) == TEXT


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA", "I;16", "CMYK"])
def test_all_kinds_of_pixels_are_read(mode: str) -> None:
    picture = Image.fromarray(_label_pixels())
    buffer = io.BytesIO()
    deep = Image.fromarray(_label_pixels().astype(np.uint16) * 257)
    picture = deep if mode == "I;16" else picture.convert(mode)
    picture.save(buffer, "JPEG" if mode == "CMYK" else "PNG")
    assert _read(buffer.getvalue()) == TEXT


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_every_exif_orientation_is_read(orientation: int, kind: str) -> None:
    """The pixels lie as a phone of that orientation stores them."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    picture = Image.fromarray(_colour())
    if orientation in undo:
        picture = picture.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    picture.save(buffer, kind, exif=exif)
    assert _read(buffer.getvalue()) == TEXT


def test_a_small_label_in_a_twelve_megapixel_photograph_is_read() -> None:
    wall = np.full((3000, 4000), 90, dtype=np.uint8)
    label = _label_pixels(3)
    wall[1700 : 1700 + label.shape[0], 2600 : 2600 + label.shape[1]] = label
    assert _read(picture_file(wall, "JPEG", quality=80)) == TEXT


def test_the_label_is_found_beside_another_code() -> None:
    poster = Image.open(io.BytesIO(png("HTTPS://EXAMPLE.ORG/BUY", 1, module_px=6)))
    both = Image.new("L", (700, 320), color=255)
    both.paste(poster, (10, 10))
    both.paste(Image.fromarray(_label_pixels()), (380, 10))
    assert _read(picture_file(np.asarray(both), "PNG")) == TEXT


def test_another_code_alone_is_no_label_and_the_answer_says_so() -> None:
    with pytest.raises(NoLabelInPhotoError) as caught:
        _read(png("HTTPS://EXAMPLE.ORG/BUY", 1))
    assert caught.value.extra == {"other_codes": True}


def test_a_photograph_without_a_code_is_answered() -> None:
    grass = np.random.default_rng(1).integers(0, 256, (480, 640), dtype=np.uint8)
    with pytest.raises(NoLabelInPhotoError) as caught:
        _read(picture_file(grass, "JPEG"))
    assert caught.value.extra == {"other_codes": False}


# Each attempt is there for a fault that those before it do not mend; these check the first and the others.


def test_the_plain_picture_is_tried_first_and_a_good_one_needs_no_more() -> None:
    times = iter([0, 10_000])
    assert read(picture_file(_label_pixels(), "PNG"), looks_like_label, now_ms=lambda: next(times)) == TEXT


@pytest.mark.parametrize("attempt", [*reader.QUICK, *reader.THOROUGH], ids=lambda attempt: attempt.name)
def test_each_attempt_reads_a_good_picture_near_or_far(attempt: reader.Attempt) -> None:
    read_by = [attempt.decode(attempt.change(_in_the_middle(_label_pixels(module_px)))) for module_px in (4, 8)]
    assert [TEXT] in read_by


def _in_the_middle(label: reader.Grey) -> reader.Grey:
    canvas = np.full((480, 640), 255, dtype=np.uint8)
    top, left = (480 - label.shape[0]) // 2, (640 - label.shape[1]) // 2
    canvas[top : top + label.shape[0], left : left + label.shape[1]] = label
    return canvas


def test_the_thorough_attempts_read_photographs_that_the_quick_ones_do_not() -> None:
    quick = thorough = 0
    for seed in range(30):
        photo = photograph(TEXT, np.random.default_rng(seed), Difficulty.HARD)
        picture = np.asarray(Image.open(io.BytesIO(photo)))
        quick += any(TEXT in attempt.decode(attempt.change(picture)) for attempt in reader.QUICK)
        with contextlib.suppress(NoLabelInPhotoError):
            thorough += read(photo, looks_like_label, now_ms=lambda: 0) == TEXT
    assert thorough > quick


def test_no_attempt_begins_when_the_time_is_over() -> None:
    calls: list[None] = []

    def clock() -> int:
        calls.append(None)
        return next(times)

    times: Iterator[int] = chain([0, 100, 200, 601], repeat(601))
    with pytest.raises(NoLabelInPhotoError):
        read(picture_file(np.zeros((100, 100), dtype=np.uint8), "PNG"), looks_like_label, now_ms=clock)
    assert len(calls) == 4


def test_a_hundred_megapixels_in_a_hundred_kilobytes_are_refused_from_the_header() -> None:
    bomb = png_of_zeros(10_000, 10_000)
    assert len(bomb) < 120_000
    before_kib = _reset_peak_kib()
    with pytest.raises(PhotoTooLargeError) as caught:
        _read(bomb)
    assert _peak_kib() - before_kib < 10_000
    assert caught.value.extra == {"limit": 25_000_000, "unit": "pixels"}


@pytest.mark.parametrize("action", ["error", "ignore"])
@pytest.mark.parametrize(("width", "height"), [(5_001, 5_000), (7_200, 7_000), (100_000, 100_000)])
def test_pixels_above_the_limit_are_refused_with_and_without_pillows_warning(
    width: int, height: int, action: Literal["error", "ignore"]
) -> None:
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    with warnings.catch_warnings():
        warnings.simplefilter(action, Image.DecompressionBombWarning)
        with pytest.raises(PhotoTooLargeError):
            _read(_with_size(png_of_zeros(1, 1), size))


def _with_size(file: bytes, size: bytes) -> bytes:
    header = b"IHDR" + size + file[24:29]
    return file[:12] + header + zlib.crc32(header).to_bytes(4, "big") + file[33:]


def test_pixels_at_the_limit_are_decoded() -> None:
    with pytest.raises(NoLabelInPhotoError):
        _read(png_of_zeros(5_000, 5_000))


def test_bytes_above_the_limit_are_refused() -> None:
    with pytest.raises(PhotoTooLargeError) as caught:
        _read(bytes(PHOTO_MAX_BYTES + 1))
    assert caught.value.extra["unit"] == "bytes"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"%PDF-1.7\n1 0 obj",
        b"GIF89a" + bytes(50),
        b"\x00\x00\x00\x18ftypheic" + bytes(50),
        b"<svg/>",
        b"BM" + bytes(60),
    ],
    ids=["empty", "pdf", "gif", "heic", "svg", "bmp"],
)
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(PhotoFormatError):
        _read(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_file_cut_short_is_unreadable(kind: str, share: float) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    whole = picture_file(noise, kind)
    with pytest.raises(PhotoUnreadableError):
        _read(whole[: int(len(whole) * share)])


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_files_never_raise_anything_but_a_problem(data: st.DataObject) -> None:
    file = bytearray(data.draw(st.sampled_from(_GOOD)))
    for place in data.draw(st.lists(st.integers(0, len(file) - 1), max_size=8)):
        file[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Problem):
        assert _read(bytes(file)) == TEXT


_GOOD = [picture_file(_colour(2), kind) for kind in ("JPEG", "PNG", "WEBP")]


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 5_000), (20, 20), (21, 200_000), (1_000_000, 25), (22, 23)])
def test_pictures_of_odd_shapes_are_no_labels(width: int, height: int) -> None:
    with pytest.raises(NoLabelInPhotoError):
        _read(png_of_zeros(width, height))


def test_opencv_has_its_own_limit() -> None:
    assert int(os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"]) == reader.PHOTO_MAX_PIXELS


async def test_reading_leaves_the_event_loop_free() -> None:
    photos = PhotoReader()
    threads = []

    def accept(text: str) -> bool:
        threads.append(threading.current_thread())
        return looks_like_label(text)

    assert await photos.read(picture_file(_label_pixels(), "PNG"), accept) == TEXT
    assert threads
    assert threads[0] is not threading.main_thread()
    photos.close()


async def test_too_many_waiting_bytes_are_refused_and_room_comes_back() -> None:
    photos = PhotoReader()
    go_on = threading.Event()

    def slow(_text: str) -> bool:
        return go_on.wait(10)

    large = picture_file(_label_pixels(), "PNG") + bytes(9_900_000)
    waiting = [asyncio.create_task(photos.read(large, slow)) for _ in range(6)]
    await asyncio.sleep(0)
    with pytest.raises(PhotoReaderBusyError):
        await photos.read(large, slow)
    go_on.set()
    assert await asyncio.gather(*waiting) == [TEXT] * 6
    assert await photos.read(large, slow) == TEXT
    photos.close()


async def test_a_file_too_large_is_refused_before_it_waits() -> None:
    photos = PhotoReader()
    with pytest.raises(PhotoTooLargeError):
        await photos.read(bytes(PHOTO_MAX_BYTES + 1), looks_like_label)
    photos.close()


def test_real_photographs_are_read(capsys: pytest.CaptureFixture[str]) -> None:
    folder = real_photographs()
    if folder is None:
        pytest.skip("no real photographs here: set UNLATCH_QR_PHOTOS to their folder")
    measured = measure(folder)
    with capsys.disabled():
        print(f"\n{measured}")  # noqa: T201 - a measurement; not asserted, because it depends on the machine
    assert measured.right >= LEAST_READ
    # In this one the picture says "photography" and its text file "photograph": every decoder reads the same.
    assert set(measured.wrong) <= {"qrcode-2/13"}


def _reset_peak_kib() -> int:
    """Set the peak of this process's memory to what it uses now, and return that."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pytest.skip("the peak of memory can be reset on Linux only")
    return _peak_kib()


def _peak_kib() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1])
