"""Draws the mark, an open padlock on a rounded square, as SVG and as the PNGs that phones put on their home screen.

Both come from the shapes below, so they never differ. What it makes is committed; run it after a change::

    python -m session_service.web.make_icons
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw

FOLDER: Final = Path(__file__).parent / "static" / "icons"

SIDE: Final = 512  # units of the drawing, and pixels of the largest picture
CORNER: Final = 112  # of the square; phones that cut icons themselves get one without
FINER: Final = 4  # pictures are drawn so much larger and made small again, which smooths their edges
COLOURS: Final = 64
MASKED_SCALE: Final = 0.88  # all of the mark within the circle of 80% that no phone cuts (W3C App Manifest, "maskable")

GROUND: Final = "#0b5d4a"
MARK: Final = "#ffffff"

BODY: Final = (136, 250, 376, 422)  # left, top, right, bottom
BODY_CORNER: Final = 34
HOLE: Final = (256, 322, 25)  # middle and radius of the keyhole
SLOT: Final = (245, 322, 267, 376)
SLOT_CORNER: Final = 11
SHACKLE_X: Final = (188, 324)  # its two legs
SHACKLE_TURN_Y: Final = 168  # where they meet in a half circle
SHACKLE_FEET_Y: Final = (262, 196)  # the right one ends above the body: this lock is open
SHACKLE_WIDTH: Final = 38


@dataclass(frozen=True, slots=True)
class Icon:
    """One file: its name, its side in pixels, and whether phones cut it into their own shape."""

    name: str
    side_px: int
    masked: bool = False


ICONS: Final = (
    Icon("icon-192.png", 192),
    Icon("icon-512.png", 512),
    Icon("maskable-512.png", 512, masked=True),
)
FAVICON_PX: Final = 32


def svg() -> str:
    """Return the mark as SVG."""
    (left, right), (left_y, right_y) = SHACKLE_X, SHACKLE_FEET_Y
    radius = (right - left) // 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}">'
        f'<rect width="{SIDE}" height="{SIDE}" rx="{CORNER}" fill="{GROUND}"/>'
        f'<path d="M{left} {left_y}V{SHACKLE_TURN_Y}a{radius} {radius} 0 0 1 {right - left} 0V{right_y}"'
        f' fill="none" stroke="{MARK}" stroke-width="{SHACKLE_WIDTH}" stroke-linecap="round"/>'
        f"{_rect(BODY, BODY_CORNER, MARK)}"
        f'<circle cx="{HOLE[0]}" cy="{HOLE[1]}" r="{HOLE[2]}" fill="{GROUND}"/>'
        f"{_rect(SLOT, SLOT_CORNER, GROUND)}</svg>\n"
    )


def picture(side_px: int, *, masked: bool = False) -> Image.Image:
    """Return the mark as a picture; ``masked`` fills the whole square and keeps clear of its edges."""
    large = Image.new("RGBA", (SIDE * FINER, SIDE * FINER))
    pen = ImageDraw.Draw(large)
    pen.rounded_rectangle(_scaled((0, 0, SIDE, SIDE), 1.0), 0 if masked else CORNER * FINER, GROUND)
    _draw_mark(pen, MASKED_SCALE if masked else 1.0)
    return large.resize((side_px, side_px), Image.Resampling.LANCZOS)


def small(icon: Icon) -> Image.Image:
    """Return an icon's picture with as many colours as two colours and their edges need: a third of the bytes."""
    return picture(icon.side_px, masked=icon.masked).quantize(COLOURS, dither=Image.Dither.NONE)


def _draw_mark(pen: ImageDraw.ImageDraw, scale: float) -> None:
    def length(units: float) -> float:
        return units * scale * FINER

    (left, right), width = SHACKLE_X, SHACKLE_WIDTH
    for x, foot_y in zip(SHACKLE_X, SHACKLE_FEET_Y, strict=True):
        leg = (x - width / 2, SHACKLE_TURN_Y, x + width / 2, foot_y + width / 2)
        pen.rounded_rectangle(_scaled(leg, scale), length(width / 2), MARK, corners=(False, False, True, True))
    radius = (right - left + width) / 2
    middle = (left + right) / 2
    turn = (middle - radius, SHACKLE_TURN_Y - radius, middle + radius, SHACKLE_TURN_Y + radius)
    pen.arc(_scaled(turn, scale), 180, 360, MARK, round(length(width)))
    pen.rounded_rectangle(_scaled(BODY, scale), length(BODY_CORNER), MARK)
    x, y, hole = HOLE
    pen.ellipse(_scaled((x - hole, y - hole, x + hole, y + hole), scale), GROUND)
    pen.rounded_rectangle(_scaled(SLOT, scale), length(SLOT_CORNER), GROUND)


def _scaled(box: tuple[float, float, float, float], scale: float) -> list[float]:
    return list(_about_the_middle(box, scale))


def _about_the_middle(box: tuple[float, float, float, float], scale: float) -> Iterator[float]:
    for at in box:
        yield ((at - SIDE / 2) * scale + SIDE / 2) * FINER


def _rect(box: tuple[int, int, int, int], corner: int, colour: str) -> str:
    left, top, right, bottom = box
    size = f'width="{right - left}" height="{bottom - top}"'
    return f'<rect x="{left}" y="{top}" {size} rx="{corner}" fill="{colour}"/>'


def main() -> None:
    """Write every file."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "icon.svg").write_text(svg())
    for icon in ICONS:
        small(icon).save(FOLDER / icon.name, optimize=True)
    picture(FAVICON_PX).save(FOLDER / "favicon.ico", sizes=[(FAVICON_PX, FAVICON_PX)])


if __name__ == "__main__":
    main()
