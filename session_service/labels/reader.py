"""Reads the label in a photograph (DESIGN 6).

zxing-cpp reads nine of ten photographs as they are. For the others the picture is changed in ways that each mend one
fault (blur, noise, shadow, distance, angle) and tried again, cheapest first, until a text is accepted, nothing is
left to try or the time is over. The order was found by measuring which attempt reads most of what is still unread for
its time, on real photographs and on simulated ones.

A photograph is a stranger's file: bytes are bounded before anything is looked at, format and pixels are taken from
the header before anything is decoded, and a decoded picture is never searched in pieces of more than 1.6 megapixels,
because a picture full of false finder patterns takes time that grows with their square.

HEIC is not read: its decoders are large and patented, and browsers convert it when a page asks for JPEG.
"""

from __future__ import annotations

import asyncio
import io
import os
import struct
import warnings
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import zxingcpp
from PIL import Image, ImageFile
from pyzbar import pyzbar

from session_service import metrics
from session_service.clock import Clock
from session_service.labels.errors import (
    NoLabelInPhotoError,
    PhotoFormatError,
    PhotoReaderBusyError,
    PhotoTooLargeError,
    PhotoUnreadableError,
)

PHOTO_MAX_BYTES: Final = 10_000_000  # twice what a phone makes of 12 megapixels
PHOTO_MAX_PIXELS: Final = 25_000_000  # DESIGN 6; 121 MB while a PNG of that size is decoded
PHOTO_FORMATS: Final = ("JPEG", "PNG", "WEBP")
SIGNATURES: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF")
DAMAGE: Final = (OSError, ValueError, SyntaxError, EOFError, MemoryError, struct.error)  # what Pillow raises on it
READ_BUDGET_MS: Final = 600  # no attempt begins after this: the last one and the way back fit into the second
READERS: Final = 2  # pictures decoded at once, so at most 250 MB; more do not help the smallest server's two cores
WAITING_MAX_BYTES: Final = 64_000_000  # of photographs that wait for a reader: a thousand usual ones
SEARCH_SIDE_MAX_PX: Final = 1_280  # a label that fills a twelfth of a 12-megapixel picture's width stays readable
TILE_OVERLAP_PX: Final = 320  # a label this wide is whole in one of the tiles
ENLARGE_SIDE_MAX_PX: Final = 800  # larger pictures have pixels enough

# OpenCV reads its limit when it is loaded. It only ever sees what has passed ours; this is the second lock.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(PHOTO_MAX_PIXELS))
import cv2  # noqa: E402

Grey = npt.NDArray[np.uint8]
Accept = Callable[[str], bool]

_QR: Final = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCodeModel2)

# Pillow warns of its own limit, set to ours, and raises above twice that: make both an error, as its manual advises.
Image.MAX_IMAGE_PIXELS = PHOTO_MAX_PIXELS
warnings.simplefilter("error", Image.DecompressionBombWarning)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to look at a picture: change it, then decode it."""

    name: str
    change: Callable[[Grey], Grey]
    decode: Callable[[Grey], list[str]]


def _zxing(picture: Grey, binarizer: zxingcpp.Binarizer = zxingcpp.Binarizer.LocalAverage) -> list[str]:
    found = zxingcpp.read_barcodes(picture, formats=_QR, text_mode=zxingcpp.TextMode.Plain, binarizer=binarizer)
    return [code.text for code in found]


_zxing_global = partial(_zxing, binarizer=zxingcpp.Binarizer.GlobalHistogram)


def _zbar(picture: Grey) -> list[str]:
    found = pyzbar.decode(picture, symbols=[pyzbar.ZBarSymbol.QRCODE])
    return [code.data.decode("utf-8", errors="replace") for code in found]


def _as_it_is(picture: Grey) -> Grey:
    return picture


def _smoothed(picture: Grey) -> Grey:
    return _grey(cv2.GaussianBlur(picture, (0, 0), 1))


def _without_specks(picture: Grey) -> Grey:
    return _grey(cv2.medianBlur(picture, 3))


def _black_and_white(picture: Grey) -> Grey:
    return _grey(cv2.threshold(picture, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1])


def _without_shadows(picture: Grey) -> Grey:
    neighbourhood_px = 51
    return _grey(
        cv2.adaptiveThreshold(
            picture, 255, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, cv2.THRESH_BINARY, blockSize=neighbourhood_px, C=5
        )
    )


def _scaled(picture: Grey, factor: float) -> Grey:
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    height, width = (max(1, round(side * factor)) for side in picture.shape)
    return _grey(cv2.resize(picture, (width, height), interpolation=how))


def _enlarged(picture: Grey) -> Grey:
    return _scaled(picture, 2) if max(picture.shape) <= ENLARGE_SIDE_MAX_PX else picture


def _turned(picture: Grey, degrees: float) -> Grey:
    height, width = picture.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return _grey(cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REPLICATE))


def _sharpened(picture: Grey) -> Grey:
    """Even out the contrast region by region, then take the blur away."""
    even = cv2.createCLAHE(clipLimit=3, tileGridSize=(8, 8)).apply(_enlarged(picture))
    return _grey(cv2.addWeighted(even, 4, cv2.GaussianBlur(even, (0, 0), 4), -3, 0))


def _redrawn(picture: Grey) -> Grey:
    """Enlarge, smooth and decide for each pixel by its surroundings: for small codes in bad light."""
    return _without_shadows(_grey(cv2.GaussianBlur(_enlarged(picture), (0, 0), 2)))


def _grey(picture: object) -> Grey:
    return np.asarray(picture, dtype=np.uint8)


QUICK: Final = (
    Attempt("plain", _as_it_is, _zxing),
    Attempt("smoothed", _smoothed, _zxing),
    Attempt("black and white", _black_and_white, _zxing_global),
    Attempt("half, zbar", partial(_scaled, factor=0.5), _zbar),
    Attempt("turned", partial(_turned, degrees=15), _zxing),
    Attempt("without specks", _without_specks, _zxing),
)
THOROUGH: Final = (
    Attempt("third, zbar", partial(_scaled, factor=1 / 3), _zbar),
    Attempt("without shadows", _without_shadows, _zxing),
    Attempt("enlarged", _enlarged, _zxing_global),
    Attempt("smoothed, zbar", _smoothed, _zbar),
    Attempt("turned, zbar", partial(_turned, degrees=45), _zbar),
    Attempt("sharpened", _sharpened, _zxing),
    Attempt("redrawn", _redrawn, _zxing_global),
    Attempt("redrawn, zbar", _redrawn, _zbar),
)


def read(data: bytes, accept: Accept, *, now_ms: Callable[[], int]) -> str:
    """Return the first text in the photograph that ``accept`` says yes to. Blocks for up to a second.

    Args:
        data: a JPEG, PNG or WebP of at most 10 MB and 25 megapixels. Turned and mirrored pictures are read as well as
            straight ones, so EXIF orientation makes no difference.
        accept: says whether a text is what is looked for; called for each text found, from this thread.
        now_ms: the clock; no attempt begins later than 600 ms after the call.

    Raises:
        PhotoTooLargeError: more bytes or pixels than that.
        PhotoFormatError: none of these formats.
        PhotoUnreadableError: the file is damaged or cut short.
        NoLabelInPhotoError: no accepted text was found.
    """
    start_ms = now_ms()
    picture = _decoded(data)
    others = False
    for texts in _attempts(picture):
        for text in texts:
            if accept(text):
                return text
        others = others or bool(texts)
        if now_ms() - start_ms > READ_BUDGET_MS:
            break
    raise _nothing_found(others=others)


def _nothing_found(*, others: bool) -> NoLabelInPhotoError:
    if others:
        return NoLabelInPhotoError(
            "The code in the photograph is not a label. Photograph the label with the device's number beneath.",
            other_codes=True,
        )
    return NoLabelInPhotoError(
        "Hold the phone still, closer and straight on, with the whole label in the picture, and try again.",
        other_codes=False,
    )


def _attempts(picture: Grey) -> Iterator[list[str]]:
    """Yield what each attempt reads: on the whole picture, made smaller if need be, and on tiles at full sharpness."""
    side = max(picture.shape)
    reduced = picture if side <= SEARCH_SIDE_MAX_PX else _scaled(picture, SEARCH_SIDE_MAX_PX / side)
    for attempt in QUICK:
        yield attempt.decode(attempt.change(reduced))
    if reduced is not picture:
        for tile in _tiles(picture):
            yield _zxing(tile)
    for attempt in THOROUGH:
        yield attempt.decode(attempt.change(reduced))


def _tiles(picture: Grey) -> Iterator[Grey]:
    height, width = picture.shape
    step = SEARCH_SIDE_MAX_PX - TILE_OVERLAP_PX
    for top in range(0, max(height - TILE_OVERLAP_PX, 1), step):
        for left in range(0, max(width - TILE_OVERLAP_PX, 1), step):
            tile = picture[top : top + SEARCH_SIDE_MAX_PX, left : left + SEARCH_SIDE_MAX_PX]
            yield np.ascontiguousarray(tile)


def _decoded(data: bytes) -> Grey:
    """Return the picture in grey, having looked at its header first."""
    if len(data) > PHOTO_MAX_BYTES:
        raise _too_large(len(data), "bytes", PHOTO_MAX_BYTES)
    with _opened(data) as header:
        pixels = header.width * header.height
        if pixels > PHOTO_MAX_PIXELS:
            raise _too_large(pixels, "pixels", PHOTO_MAX_PIXELS)
        return _webp(data) if header.format == "WEBP" else _pixels(header)


def _too_large(size: int, unit: str, limit: int) -> PhotoTooLargeError:
    detail = f"The photograph has {size} {unit}; send one of at most {limit}, such as a smaller copy of it."
    return PhotoTooLargeError(detail, limit=limit, unit=unit)


def _opened(data: bytes) -> ImageFile.ImageFile:
    """Read the header."""
    if not data.startswith(SIGNATURES):
        detail = "Send the photograph as JPEG, PNG or WebP; HEIC, PDF and others are not read."
        raise PhotoFormatError(detail)
    try:
        return Image.open(io.BytesIO(data), formats=PHOTO_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        detail = f"The photograph has too many pixels; send one of at most {PHOTO_MAX_PIXELS}."
        raise PhotoTooLargeError(detail, limit=PHOTO_MAX_PIXELS, unit="pixels") from error
    except DAMAGE as error:
        raise _unreadable() from error


def _pixels(header: ImageFile.ImageFile) -> Grey:
    """Decode a JPEG or PNG. Pillow says when a file ends early, where OpenCV fills up with grey."""
    try:
        header.draft("L", header.size)  # a JPEG's grey is stored apart from its colours: half the work
        return np.asarray(header.convert("L"))
    except DAMAGE as error:
        raise _unreadable() from error


def _webp(data: bytes) -> Grey:
    """Decode a WebP. OpenCV takes 107 MB for 25 megapixels, where Pillow takes 390."""
    try:
        picture = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error as error:
        raise _unreadable() from error
    if picture is None:
        raise _unreadable()
    return _grey(picture)


def _unreadable() -> PhotoUnreadableError:
    return PhotoUnreadableError("The file is damaged or was cut short; send the photograph again or take a new one.")


class PhotoReader:
    """Reads photographs in threads of its own, so that the event loop goes on. The decoders let go of the GIL."""

    def __init__(self, now_ms: Callable[[], int] | None = None) -> None:
        self._now_ms = now_ms or Clock().now_ms
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="photo-reader")
        self._waiting_bytes = 0

    async def read(self, data: bytes, accept: Accept) -> str:
        """As the function `read`, without blocking. ``accept`` is called from another thread.

        Raises:
            PhotoReaderBusyError: photographs of 64 MB are waiting already.
            Problem: as the function `read`.
        """

        async def given() -> bytes:
            return data

        return await self.read_from(given, len(data), accept)

    async def read_from(self, load: Callable[[], Awaitable[bytes]], size: int, accept: Accept) -> str:
        """As the method `read`, for ``size`` bytes that are loaded into memory only if there is room for them."""
        if size > PHOTO_MAX_BYTES:
            raise _too_large(size, "bytes", PHOTO_MAX_BYTES)
        if self._waiting_bytes + size > WAITING_MAX_BYTES:
            detail = "Many photographs are being read; try again in a few seconds."
            raise PhotoReaderBusyError(detail)
        self._waiting_bytes += size
        metrics.PHOTOS_WAITING.inc()
        try:
            work = partial(read, await load(), accept, now_ms=self._now_ms)
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting_bytes -= size
            metrics.PHOTOS_WAITING.dec()

    def close(self) -> None:
        """Finish what is being read, and drop what waits."""
        self._threads.shutdown(wait=True, cancel_futures=True)
