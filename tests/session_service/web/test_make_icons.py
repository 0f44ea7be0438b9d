from __future__ import annotations

from math import hypot
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from session_service.web import make_icons
from session_service.web.make_icons import FOLDER, GROUND, ICONS, Icon, picture, small, svg

MAX_BYTES = 8_192  # a phone fetches them once


@pytest.mark.parametrize("icon", ICONS, ids=lambda icon: icon.name)
def test_the_pictures_are_those_that_the_shapes_give(icon: Icon) -> None:
    with Image.open(FOLDER / icon.name) as stored:
        assert stored.size == (icon.side_px, icon.side_px)
        assert stored.convert("RGBA").tobytes() == small(icon).convert("RGBA").tobytes()
    assert (FOLDER / icon.name).stat().st_size <= MAX_BYTES


def test_the_drawing_is_the_one_that_the_shapes_give() -> None:
    assert (FOLDER / "icon.svg").read_text() == svg()


def test_no_phone_cuts_anything_off_the_mark_that_may_be_cut() -> None:
    ground = Image.new("RGB", (512, 512), GROUND)
    mark = ImageChops.difference(picture(512, masked=True).convert("RGB"), ground).convert("L").tobytes()
    distances = [hypot(at % 512 - 255.5, at // 512 - 255.5) for at, value in enumerate(mark) if value > 8]
    assert len(distances) > 20_000
    assert max(distances) < 0.4 * 512
    assert picture(512).getpixel((0, 0))[3] == 0  # type: ignore[index]
    assert picture(512, masked=True).getpixel((0, 0))[3] == 255  # type: ignore[index]


def test_all_files_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_icons, "FOLDER", tmp_path)
    make_icons.main()
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in FOLDER.iterdir()}
