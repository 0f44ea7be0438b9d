"""Pictures of a label: the QR code with the device's number beneath, as PNG for screens and SVG for print shops."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from qrcode import QRCode, constants, util

Modules = tuple[tuple[bool, ...], ...]
"""Rows of a symbol from the top, quiet zone included; true is dark."""

QUIET_ZONE_MODULES: Final = 4  # ISO/IEC 18004, section 9.1
CAPTION_MODULES: Final = 8  # room for the number: legible from as far away as the code
NUMBER_MODULES: Final = 7  # height of the number's font
PNG_MODULE_PX: Final = 12  # 41 modules make 492 pixels: 300 dpi at 42 mm
PNG_MODULE_MAX_PX: Final = 40  # 3 megapixels: what a poster needs is the SVG
NUMBER_MAX: Final = 9_999_999_999  # ten digits still fit under the code


def modules(text: str) -> Modules:
    """Return the label's symbol: error correction Q, alphanumeric mode, quiet zone of four modules.

    Raises:
        ValueError: if the text is not in QR's alphanumeric set, or too long for any code.
    """
    code = QRCode(error_correction=constants.ERROR_CORRECT_Q, border=QUIET_ZONE_MODULES)
    code.add_data(util.QRData(text, mode=util.MODE_ALPHA_NUM))
    code.make(fit=True)
    return tuple(tuple(bool(dark) for dark in row) for row in code.get_matrix())


def dark_runs(symbol: Modules) -> Iterator[tuple[int, int, int]]:
    """Yield (column, row, length) of each unbroken run of dark modules: a third of the shapes, and no seams."""
    for y, row in enumerate(symbol):
        start: int | None = None
        for x, dark in enumerate((*row, False)):
            if dark and start is None:
                start = x
            elif not dark and start is not None:
                yield start, y, x - start
                start = None


def png(text: str, number: int, *, module_px: int = PNG_MODULE_PX) -> bytes:
    """Return the label as a black and white PNG.

    Args:
        text: the label's text.
        number: printed beneath, at most ten digits, so that a rider can compare it with the device's.
        module_px: pixels a module, 1 to 40.

    Raises:
        ValueError: if one of them breaks these rules.
    """
    if not 1 <= module_px <= PNG_MODULE_MAX_PX:
        msg = f"a module has 1 to {PNG_MODULE_MAX_PX} pixels, not {module_px}"
        raise ValueError(msg)
    caption = caption_of(number)
    light = ~np.array(modules(text), dtype=bool)
    symbol = Image.fromarray(np.kron(light, np.ones((module_px, module_px), dtype=bool)).astype(np.uint8) * 255)
    picture = Image.new("L", (symbol.width, symbol.height + CAPTION_MODULES * module_px), color=255)
    picture.paste(symbol, (0, 0))
    font = ImageFont.load_default(size=_font_size(caption, symbol.width / module_px) * module_px)
    ImageDraw.Draw(picture).text((symbol.width / 2, symbol.height), caption, fill=0, font=font, anchor="mt")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def svg(text: str, number: int) -> str:
    """Return the label as an SVG whose unit is a module; it scales to any size.

    Raises:
        ValueError: as `png`.
    """
    caption = caption_of(number)
    symbol = modules(text)
    side = len(symbol)
    path = "".join(f"M{x} {y}h{length}v1h-{length}z" for x, y, length in dark_runs(symbol))
    size = _font_size(caption, side)
    baseline = side + 0.75 * size
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side + CAPTION_MODULES}"'
        f' shape-rendering="crispEdges" role="img" aria-label="{caption}">'
        f'<path fill="#fff" d="M0 0h{side}v{side + CAPTION_MODULES}H0z"/><path d="{path}"/>'
        f'<text x="{side / 2:g}" y="{baseline:g}" font-family="sans-serif" font-weight="bold" font-size="{size:g}"'
        f' text-anchor="middle">{caption}</text></svg>\n'
    )


def caption_of(number: int) -> str:
    """Return the number as it stands on the label.

    Raises:
        ValueError: if it has more than ten digits or is negative.
    """
    if not 0 <= number <= NUMBER_MAX:
        msg = f"a device's number is 0 to {NUMBER_MAX}, not {number}"
        raise ValueError(msg)
    return str(number)


def _font_size(caption: str, side_modules: float) -> float:
    """Return a font size in modules at which the caption is as high as it may be and not wider than the symbol."""
    widest_digit = 0.65  # of the font size, in the fonts used here
    return min(NUMBER_MODULES, side_modules / (widest_digit * len(caption)))
