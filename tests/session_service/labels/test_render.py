from __future__ import annotations

import io
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import zxingcpp
from PIL import Image

from session_service.labels.render import NUMBER_MAX, dark_runs, modules, png, svg
from session_service.labels.token import HOST_MAX_CHARS, VERSION_4_HOST_CHARS, mint
from tests.support.photos import KEYS, label_text


def _label(host_chars: int) -> str:
    return mint(KEYS, host="H" * host_chars, label_id="0123456789", generation=1)


def _decoded(picture: Image.Image) -> zxingcpp.Barcode:
    found = zxingcpp.read_barcode(picture)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("host_chars", "side"),
    [(1, 33), (VERSION_4_HOST_CHARS, 33), (VERSION_4_HOST_CHARS + 1, 37), (HOST_MAX_CHARS, 37)],
)
def test_a_usual_host_gives_version_4_and_the_longest_version_5(host_chars: int, side: int) -> None:
    assert len(modules(_label(host_chars))) == side + 8


def test_the_quiet_zone_is_four_modules_wide() -> None:
    dark = np.array(modules(label_text()))
    rows, columns = np.nonzero(dark)
    assert (rows.min(), columns.min()) == (4, 4)
    assert (rows.max(), columns.max()) == (36, 36)


def test_runs_cover_the_dark_modules_exactly_once() -> None:
    symbol = np.array(modules(label_text()), dtype=int)
    drawn = np.zeros_like(symbol)
    for x, y, length in dark_runs(modules(label_text())):
        drawn[y, x : x + length] += 1
    assert np.array_equal(drawn, symbol)


def test_the_png_reads_as_the_label_at_error_correction_q() -> None:
    found = _decoded(Image.open(io.BytesIO(png(label_text(), 1042))))
    assert found.text == label_text()
    assert found.ec_level == "Q"


def test_a_module_of_one_pixel_is_enough_for_a_machine() -> None:
    picture = Image.open(io.BytesIO(png(label_text(), 7, module_px=1)))
    assert picture.size == (41, 49)
    assert _decoded(picture.resize((410, 490), Image.Resampling.NEAREST)).text == label_text()


def _caption(number: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    picture = np.asarray(Image.open(io.BytesIO(png(label_text(), number))))
    return picture[41 * 12 :] < 128


def test_the_number_stands_beneath_large_and_whole() -> None:
    for number in (1, 1042, NUMBER_MAX):
        rows, columns = np.nonzero(_caption(number))
        assert columns.min() > 0
        assert columns.max() < 41 * 12 - 1
        assert rows.max() < 8 * 12 - 1
    rows, _ = np.nonzero(_caption(1042))
    assert rows.max() - rows.min() > 4 * 12
    assert not np.array_equal(_caption(1042), _caption(1043))


def test_the_svg_draws_the_same_modules_and_says_the_number() -> None:
    root = ET.fromstring(svg(label_text(), 1042))  # noqa: S314 - our own document
    space = {"s": "http://www.w3.org/2000/svg"}
    drawn = np.zeros((41, 41), dtype=bool)
    path = root.findall("s:path", space)[1].attrib["d"]
    for x, y, length in re.findall(r"M(\d+) (\d+)h(\d+)", path):
        drawn[int(y), int(x) : int(x) + int(length)] = True
    assert np.array_equal(drawn, np.array(modules(label_text())))
    assert root.findtext("s:text", namespaces=space) == "1042"
    assert root.attrib["viewBox"] == "0 0 41 49"


@pytest.mark.parametrize("number", [-1, NUMBER_MAX + 1])
def test_a_number_that_does_not_fit_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="number"):
        png(label_text(), number)
    with pytest.raises(ValueError, match="number"):
        svg(label_text(), number)


@pytest.mark.parametrize("module_px", [0, 41])
def test_a_module_size_out_of_range_is_refused(module_px: int) -> None:
    with pytest.raises(ValueError, match="pixels"):
        png(label_text(), 1, module_px=module_px)


def test_a_text_outside_the_alphanumeric_set_is_refused() -> None:
    with pytest.raises(ValueError, match="can not be represented"):
        modules("https://lower.case")
