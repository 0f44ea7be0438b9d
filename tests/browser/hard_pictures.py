"""How many hard photographs of labels are read: by the scanner in the page, and by the service from an upload.

    python -m tests.browser.hard_pictures

takes 200 photographs of printed labels (60 s; the same ones each time), and writes ``build/bench/pictures.json``. Both
ways get the very same files. The scanner is the page's own module with the same options and the same build of
zxing-wasm, in Chromium; the upload is ``POST /v1/scans``. In the street the scanner has more than one picture: it looks
at the camera's film until it has read the label.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Any, Final

import cv2
import httpx
import numpy as np
from playwright.async_api import Browser

from session_service.clock import stopwatch_s
from simulators.camera import CONDITIONS, MODULE_PX, Conditions, Difficulty, Grey, photograph_of
from tests.support.browser import BrowserHouse, chromium, new_phone, printed
from tests.support.photos import HOST, label_text

OUT: Final = Path("build/bench/pictures.json")
SEED: Final = 20_261_122
EACH: Final = 30
TOGETHER: Final = 50
PRINTED_MODULE_PX: Final = 12  # of a label as the service prints it
PRINTED_WIDER: Final = 588 / 492  # the printed label's side, to that of the code with its quiet zone alone

_EASY: Final = CONDITIONS[Difficulty.EASY]
_HARD: Final = CONDITIONS[Difficulty.HARD]


class Fault(StrEnum):
    """What makes a photograph hard."""

    TILT = "tilt"
    BLUR = "blur"
    GLARE = "glare"
    DIRT = "dirt"
    DARK = "dark"
    TOGETHER = "all of it"


FAULTS: Final[dict[Fault, Conditions]] = {
    Fault.TILT: replace(_EASY, turn_deg=_HARD.turn_deg, tilt=_HARD.tilt),
    Fault.BLUR: replace(_EASY, defocus_px=_HARD.defocus_px, motion_px=_HARD.motion_px),
    Fault.GLARE: replace(_EASY, glare=1.0),
    Fault.DIRT: replace(_EASY, dirt_spots=_HARD.dirt_spots),
    Fault.DARK: replace(_EASY, light=(_HARD.light[0], 0.3), shadow=_HARD.shadow, noise=_HARD.noise),
    Fault.TOGETHER: _HARD,
}

READ: Final = """async ({reader, script, wasm, photo, text}) => {
  const module = await import(reader);
  globalThis.reading ??= await module.zxing({script, wasm});
  const bytes = Uint8Array.from(atob(photo), (c) => c.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], {type: 'image/jpeg'}));
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  canvas.getContext('2d').drawImage(bitmap, 0, 0);
  const atOnce = await globalThis.reading.read(canvas, 0);
  const began = performance.now();
  const texts = await globalThis.reading.readAll(canvas, (found) => found === text);
  return {at_once: atOnce.includes(text), read: texts.includes(text), ms: performance.now() - began};
}"""
"""Reads one photograph in the page."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One photograph of a label with this text."""

    fault: Fault
    text: str
    photo: bytes


@dataclass(frozen=True, slots=True)
class Look:
    """What became of one photograph: read by the scanner at its first look, at all, by the upload; and how long."""

    fault: Fault
    at_once: bool
    scanned: bool
    scan_ms: float
    uploaded: bool
    upload_ms: float


def pictures(each: int = EACH, together: int = TOGETHER) -> Iterator[Picture]:
    """Yield the photographs: ``each`` with one fault alone, and ``together`` with all of them."""
    number = 0
    for fault, conditions in FAULTS.items():
        low, high = conditions.label_px
        wider = replace(conditions, label_px=(low * PRINTED_WIDER, high * PRINTED_WIDER))
        for _ in range(together if fault is Fault.TOGETHER else each):
            number += 1
            text = label_text(number)
            photo = photograph_of(_sticker(text, number), np.random.default_rng((SEED, number)), wider)
            yield Picture(fault, text, photo)


def _sticker(text: str, number: int) -> Grey:
    label = printed(text, number)
    side = label.shape[0] * MODULE_PX // PRINTED_MODULE_PX
    return cv2.resize(label, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


async def look_at(taken: Iterable[Picture], house: BrowserHouse, browser: Browser) -> list[Look]:
    """Let both ways read each photograph, one after the other."""
    phone = await new_phone(browser, house.page_url, camera=False)
    await phone.open("/scan")
    names = {"reader": "reader", "script": "zxingScript", "wasm": "zxingWasm"}
    data: dict[str, str] = await phone.page.evaluate("() => ({...document.getElementById('camera').dataset})")
    parts = {name: data[key] for name, key in names.items()}
    looks = []
    async with httpx.AsyncClient(base_url=house.url, timeout=30) as client:
        for picture in taken:
            encoded = base64.b64encode(picture.photo).decode()
            seen: dict[str, Any] = await phone.page.evaluate(READ, {**parts, "photo": encoded, "text": picture.text})
            began_s = stopwatch_s()
            uploaded = await _upload(client, picture)
            upload_ms = (stopwatch_s() - began_s) * 1000
            looks.append(Look(picture.fault, seen["at_once"], seen["read"], seen["ms"], uploaded, upload_ms))
    await phone.context.close()
    return looks


async def _upload(client: httpx.AsyncClient, picture: Picture) -> bool:
    """Return whether the service has read the label. It is one of another host, so that pictures stay the same."""
    files = {"photo": ("photo.jpg", picture.photo, "image/jpeg")}
    answer = (await client.post("/v1/scans", files=files)).json()
    return bool(answer["type"] == "urn:unlatch:problem:foreign-label" and answer["host"] == HOST)


def shares(looks: Sequence[Look]) -> dict[str, Any]:
    """Return the shares that were read, in all and by fault, and the median times."""
    rows = {fault.value: [look for look in looks if look.fault is fault] for fault in Fault}
    return {"all": _row(looks), "by_fault": {name: _row(of) for name, of in rows.items() if of}}


def _row(looks: Sequence[Look]) -> dict[str, Any]:
    count = len(looks)
    return {
        "pictures": count,
        "scanner_at_once": round(sum(look.at_once for look in looks) / count, 3),
        "scanner": round(sum(look.scanned for look in looks) / count, 3),
        "upload": round(sum(look.uploaded for look in looks) / count, 3),
        "scanner_ms": round(median(look.scan_ms for look in looks), 1),
        "upload_ms": round(median(look.upload_ms for look in looks), 1),
    }


async def measure(each: int = EACH, together: int = TOGETHER) -> dict[str, Any]:
    """Put up a house and a browser, and measure."""
    with tempfile.TemporaryDirectory() as folder, BrowserHouse() as house:
        async with chromium(Path(folder) / "none.y4m") as browser:
            return shares(await look_at(pictures(each, together), house, browser))


def main() -> None:
    """Measure, print a table, and write the file."""
    parser = argparse.ArgumentParser(description="Read hard photographs of labels in both ways.")
    parser.add_argument("--out", type=Path, default=OUT, help=f"where the figures go (default {OUT})")
    out: Path = parser.parse_args().out
    found = asyncio.run(measure())
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(found, indent=2) + "\n")
    columns = ("pictures", "scanner_at_once", "scanner", "upload", "scanner_ms", "upload_ms")
    print("".join(f"{name:>17}" for name in ("", *columns)))  # noqa: T201 - what the command is for
    for name, row in {**found["by_fault"], "all": found["all"]}.items():
        print("".join(f"{cell:>17}" for cell in (name, *(row[column] for column in columns))))  # noqa: T201


if __name__ == "__main__":
    main()
