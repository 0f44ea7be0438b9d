"""A phone's camera: what a rider's photograph of a label looks like, for riders who never see a screen.

The label is rendered here from its text alone, as a sticker maker would: simulators know the service over HTTP only
(DESIGN 2). Everything that chance decides comes from the generator handed in, so a seed gives the same photograph.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
import numpy.typing as npt
import qrcode
from qrcode import constants, util

Grey = npt.NDArray[np.uint8]

PHOTO_WIDTH_PX = 640  # what a phone's browser sends after it has scaled its 12 megapixels down
PHOTO_HEIGHT_PX = 480
QUIET_ZONE_MODULES = 4  # ISO/IEC 18004
MODULE_PX = 8  # of the flat label before it is photographed: above what any photograph here shows
STICKERS_KEPT = 1_024  # 200 kB each at most; a fleet's labels are photographed again and again
NOISE_TILE_PX = 768  # larger than the photograph: the rest is room to shift it by chance
NOISE_SEED = 20_261_122  # the tile is the same for every photograph; where it is cut is chance


class Difficulty(StrEnum):
    """How hard the light and the hand make it for the reader."""

    EASY = "easy"
    STREET = "street"
    HARD = "hard"


@dataclass(frozen=True, slots=True)
class Conditions:
    """Ranges that a photograph's conditions are drawn from, each evenly."""

    label_px: tuple[float, float]  # side of the label in the photograph, quiet zone included
    turn_deg: float  # the phone is turned by at most this, either way
    tilt: float  # how much a corner moves at most, as a share of the side
    defocus_px: tuple[float, float]  # standard deviation of the lens's blur
    motion_px: tuple[float, float]  # length of the hand's movement while the shutter is open
    light: tuple[float, float]  # brightness of white paper, as a share of full
    shadow: float  # how much darker the dark end of the picture is at most, as a share
    noise: tuple[float, float]  # standard deviation, in grey levels of 255
    glare: float  # chance of a lamp's reflection on the sticker
    dirt_spots: int  # at most
    jpeg_quality: tuple[int, int]  # the encoder's 1 to 100


CONDITIONS: dict[Difficulty, Conditions] = {
    Difficulty.EASY: Conditions(
        label_px=(260, 380),
        turn_deg=8,
        tilt=0.03,
        defocus_px=(0.3, 0.7),
        motion_px=(0, 1),
        light=(0.75, 1.0),
        shadow=0.1,
        noise=(1, 4),
        glare=0.0,
        dirt_spots=0,
        jpeg_quality=(80, 92),
    ),
    Difficulty.STREET: Conditions(
        label_px=(190, 380),
        turn_deg=25,
        tilt=0.10,
        defocus_px=(0.4, 1.4),
        motion_px=(0, 4),
        light=(0.25, 1.0),
        shadow=0.4,
        noise=(2, 10),
        glare=0.25,
        dirt_spots=4,
        jpeg_quality=(60, 90),
    ),
    Difficulty.HARD: Conditions(
        label_px=(150, 320),
        turn_deg=45,
        tilt=0.18,
        defocus_px=(0.8, 2.2),
        motion_px=(1, 7),
        light=(0.08, 0.6),
        shadow=0.6,
        noise=(5, 14),
        glare=0.6,
        dirt_spots=9,
        jpeg_quality=(40, 75),
    ),
}


def photograph(text: str, chance: np.random.Generator, difficulty: Difficulty = Difficulty.STREET) -> bytes:
    """Return a JPEG of 640 by 480 grey pixels that shows the label with this text.

    Raises:
        ValueError: if the text is longer than a QR code holds.
    """
    return photograph_of(_sticker(text), chance, difficulty)


def photograph_of(
    sticker: Grey, chance: np.random.Generator, difficulty: Difficulty | Conditions = Difficulty.STREET
) -> bytes:
    """Return a JPEG of 640 by 480 grey pixels that shows this sticker, which is as wide as it is high."""
    conditions = difficulty if isinstance(difficulty, Conditions) else CONDITIONS[difficulty]
    sticker = _dirty(sticker, conditions, chance)
    scene = _on_its_place(sticker, conditions, chance)
    lit = _lit(_blurred(scene, conditions, chance), conditions, chance)
    return _jpeg(_noisy(lit, conditions, chance), conditions, chance)


@functools.lru_cache(maxsize=STICKERS_KEPT)
def _sticker(text: str) -> Grey:
    """Return the flat label: dark on white, quiet zone included. Kept, because making the code is the slow part."""
    code = qrcode.QRCode(error_correction=constants.ERROR_CORRECT_Q, border=QUIET_ZONE_MODULES)
    code.add_data(util.QRData(text))
    code.make(fit=True)
    dark = np.array(code.get_matrix(), dtype=bool)
    flat = np.where(dark, 20, 235).astype(np.uint8)
    sticker = np.kron(flat, np.ones((MODULE_PX, MODULE_PX), dtype=np.uint8))
    sticker.setflags(write=False)
    return sticker


def _dirty(sticker: Grey, conditions: Conditions, chance: np.random.Generator) -> Grey:
    """Put round spots over the sticker: mud, dust, and white where it is scratched."""
    if conditions.dirt_spots == 0:
        return sticker
    dirty = sticker.copy()
    side = sticker.shape[0]
    for _ in range(int(chance.integers(0, conditions.dirt_spots + 1))):
        centre = (int(chance.integers(side)), int(chance.integers(side)))
        radius = int(chance.uniform(0.3, 1.6) * MODULE_PX)
        cv2.circle(dirty, centre, radius, float(chance.choice((60.0, 120.0, 225.0))), thickness=-1)
    return dirty


def _on_its_place(sticker: Grey, conditions: Conditions, chance: np.random.Generator) -> Grey:
    """Put the sticker, turned and tilted, in front of something grey."""
    side_px = chance.uniform(*conditions.label_px)
    corners = _corners(side_px, conditions, chance)
    edge = float(sticker.shape[0])
    flat = np.array([(0, 0), (edge, 0), (edge, edge), (0, edge)], dtype=np.float32)
    shrunk, scale = _shrunk(sticker, side_px)
    move = cv2.getPerspectiveTransform(flat * np.float32(scale), corners)
    scene = np.full((PHOTO_HEIGHT_PX, PHOTO_WIDTH_PX), int(chance.integers(40, 200)), dtype=np.uint8)
    size = (PHOTO_WIDTH_PX, PHOTO_HEIGHT_PX)
    cv2.warpPerspective(shrunk, move, size, dst=scene, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT)
    return scene


def _corners(side_px: float, conditions: Conditions, chance: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return where the sticker's four corners lie: a turned square whose corners each moved a little."""
    turn = math.radians(chance.uniform(-conditions.turn_deg, conditions.turn_deg))
    half = side_px / 2
    square = np.array([(-half, -half), (half, -half), (half, half), (-half, half)])
    square += chance.uniform(-conditions.tilt, conditions.tilt, size=(4, 2)) * side_px
    spin = np.array([(math.cos(turn), -math.sin(turn)), (math.sin(turn), math.cos(turn))])
    centre = np.array([PHOTO_WIDTH_PX, PHOTO_HEIGHT_PX]) / 2 + chance.uniform(-30, 30, size=2)
    corners: npt.NDArray[np.float32] = (square @ spin.T + centre).astype(np.float32)
    return corners


def _shrunk(sticker: Grey, side_px: float) -> tuple[Grey, float]:
    """Shrink by areas to about the size it will have: a warp alone samples single points, a lens averages."""
    scale = min(1.0, 1.5 * side_px / sticker.shape[0])
    side = round(sticker.shape[0] * scale)
    shrunk = cv2.resize(sticker, (side, side), interpolation=cv2.INTER_AREA)
    return shrunk.astype(np.uint8, copy=False), side / sticker.shape[0]


def _blurred(scene: Grey, conditions: Conditions, chance: np.random.Generator) -> Grey:
    """Blur by a lens out of focus, then by a hand that moved."""
    soft = cv2.GaussianBlur(scene, (0, 0), chance.uniform(*conditions.defocus_px))
    length_px = chance.uniform(*conditions.motion_px)
    if length_px < 1:
        return soft.astype(np.uint8, copy=False)
    moved = cv2.filter2D(soft, -1, _stroke(length_px, chance.uniform(0, math.pi)))
    return moved.astype(np.uint8, copy=False)


def _stroke(length_px: float, angle: float) -> npt.NDArray[np.float32]:
    """Return the kernel of a straight movement, its weights summing to one."""
    size = 2 * math.ceil(length_px / 2) + 1
    middle = size // 2
    kernel = np.zeros((size, size), dtype=np.float32)
    reach = length_px / 2
    start = (round(middle - reach * math.cos(angle)), round(middle - reach * math.sin(angle)))
    end = (round(middle + reach * math.cos(angle)), round(middle + reach * math.sin(angle)))
    cv2.line(kernel, start, end, 1.0)
    kernel /= kernel.sum()
    return kernel


def _lit(scene: Grey, conditions: Conditions, chance: np.random.Generator) -> npt.NDArray[np.float32]:
    """Give the scene its light: how bright, darker towards one side, perhaps with a lamp's reflection."""
    light = chance.uniform(*conditions.light)
    dark = light * (1 - chance.uniform(0, conditions.shadow))
    ends = (light, dark) if chance.random() < 0.5 else (dark, light)
    across = np.linspace(*ends, PHOTO_WIDTH_PX, dtype=np.float32)
    lit: npt.NDArray[np.float32] = scene * across
    return _glared(lit, light, chance) if chance.random() < conditions.glare else lit


def _glared(lit: npt.NDArray[np.float32], light: float, chance: np.random.Generator) -> npt.NDArray[np.float32]:
    """Add a soft bright spot somewhere near the label."""
    middle = np.array([PHOTO_WIDTH_PX, PHOTO_HEIGHT_PX]) / 2 + chance.uniform(-100, 100, size=2)
    radius_px = chance.uniform(20, 70)
    across = np.exp(-(((np.arange(PHOTO_WIDTH_PX) - middle[0]) / radius_px) ** 2)).astype(np.float32)
    down = np.exp(-(((np.arange(PHOTO_HEIGHT_PX) - middle[1]) / radius_px) ** 2)).astype(np.float32)
    strength = np.float32(chance.uniform(40, 160) * light)
    glared: npt.NDArray[np.float32] = lit + np.outer(down * strength, across)
    return glared


@functools.lru_cache(maxsize=1)
def _noise_tile() -> npt.NDArray[np.float32]:
    """Return standard normal noise, made once: drawing it anew would cost more than all the rest of a photograph."""
    chance = np.random.default_rng(NOISE_SEED)
    return chance.standard_normal((NOISE_TILE_PX, NOISE_TILE_PX), dtype=np.float32)


def _noisy(lit: npt.NDArray[np.float32], conditions: Conditions, chance: np.random.Generator) -> Grey:
    """Add the sensor's noise, cut from the tile at a place that chance chooses."""
    top = int(chance.integers(NOISE_TILE_PX - PHOTO_HEIGHT_PX))
    left = int(chance.integers(NOISE_TILE_PX - PHOTO_WIDTH_PX))
    noise = _noise_tile()[top : top + PHOTO_HEIGHT_PX, left : left + PHOTO_WIDTH_PX]
    noisy = cv2.addWeighted(lit, 1.0, noise, chance.uniform(*conditions.noise), 0.0)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _jpeg(picture: Grey, conditions: Conditions, chance: np.random.Generator) -> bytes:
    """Encode as a phone's browser does."""
    low, high = conditions.jpeg_quality
    quality = int(chance.integers(low, high + 1))
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return encoded.tobytes()
