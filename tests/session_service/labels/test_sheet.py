from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import zxingcpp
from PIL import Image

from session_service.clock import Clock
from session_service.labels.reader import read
from session_service.labels.sheet import SHEET_MAX_LABELS, Look, Paper, SheetLabel, sheet_pdf
from session_service.labels.token import looks_like_label, mint
from tests.support.photos import KEYS, label_text, picture_file

needs_poppler = pytest.mark.skipif(
    shutil.which("pdftoppm") is None, reason="pdftoppm is missing: apt-get install poppler-utils"
)
LOOK = Look("Städträder", "Torn or loose? Do not scan.")
LABELS = [SheetLabel(label_text(number), 1000 + number) for number in range(20)]


def _pages(pdf: bytes, folder: Path) -> list[Image.Image]:
    source = folder / "sheet.pdf"
    source.write_bytes(pdf)
    subprocess.run(["pdftoppm", "-r", "150", "-gray", "-png", source, folder / "page"], check=True, timeout=60)
    return [Image.open(path) for path in sorted(folder.glob("page*.png"))]


@needs_poppler
@pytest.mark.parametrize(("paper", "size"), [(Paper.A4, (1240, 1754)), (Paper.LETTER, (1275, 1650))])
def test_every_label_on_the_printed_sheet_reads(paper: Paper, size: tuple[int, int], tmp_path: Path) -> None:
    pages = _pages(sheet_pdf(LABELS, paper), tmp_path)
    assert [abs(a - b) <= 1 for a, b in zip(pages[0].size, size, strict=True)] == [True, True]
    found = [[code.text for code in zxingcpp.read_barcodes(page)] for page in pages]
    assert [len(texts) for texts in found] == [16, 4]
    assert set(found[0] + found[1]) == {label.text for label in LABELS}


@needs_poppler
@pytest.mark.parametrize("paper", list(Paper))
def test_the_service_reads_each_printed_label_back(paper: Paper, tmp_path: Path) -> None:
    """As a phone would see them one by one: every cell of the page, with all that stands on it."""
    page = _pages(sheet_pdf(LABELS[:16], paper, LOOK), tmp_path)[0]
    dot, (width, height) = 150 / 25.4, (cut * 25.4 / 150 for cut in page.size)
    left, top = (width - 4 * 46) / 2, (height - 4 * 58) / 2
    for place, label in enumerate(LABELS[:16]):
        x, y = left + place % 4 * 46, top + place // 4 * 58
        cell = page.crop((int(x * dot), int(y * dot), int((x + 46) * dot), int((y + 58) * dot)))
        photograph = picture_file(np.asarray(cell.convert("L")), "PNG")
        assert read(photograph, looks_like_label, now_ms=Clock().now_ms) == label.text


@needs_poppler
def test_number_brand_host_and_tamper_text_stand_in_clear_text(tmp_path: Path) -> None:
    source = tmp_path / "sheet.pdf"
    source.write_bytes(sheet_pdf(LABELS[:3], look=LOOK))
    printed = subprocess.run(["pdftotext", source, "-"], check=True, capture_output=True, text=True, timeout=60).stdout
    words = printed.split()
    assert [word for word in words if word.isdigit()] == ["1000", "1001", "1002"]
    assert words.count("unlatch.example") == 3
    assert words.count("Städträder") == 3
    assert printed.count("Torn or loose? Do not scan.") == 3


@needs_poppler
def test_the_longest_words_stay_within_their_cell(tmp_path: Path) -> None:
    """Beside the one label on the page nothing is drawn but its cut marks."""
    longest = SheetLabel(mint(KEYS, host="W" * 38, label_id="0000000000", generation=1), 2_147_483_647)
    page = _pages(sheet_pdf([longest], look=Look("W" * 28, "W" * 48)), tmp_path)[0]
    dots = np.asarray(page.convert("L")) < 128
    dot = 150 / 25.4
    left, top = (210 - 4 * 46) / 2, (297 - 4 * 58) / 2
    beside = dots[int((top + 2) * dot) : int((top + 56) * dot)].copy()
    beside[:, int((left - 0.5) * dot) : int((left + 46.5) * dot)] = False
    assert not beside.any()


@needs_poppler
def test_cut_marks_meet_at_the_corners_of_the_cells(tmp_path: Path) -> None:
    page = _pages(sheet_pdf(LABELS[:1]), tmp_path)[0]
    dot = 150 / 25.4
    left, top = (210 - 4 * 46) / 2 * dot, (297 - 4 * 58) / 2 * dot
    for x, y in ((left, top), (left + 46 * dot, top), (left, top + 58 * dot), (left + 46 * dot, top + 58 * dot)):
        around = np.asarray(page.convert("L"))[int(y) - 2 : int(y) + 4, int(x) - 2 : int(x) + 4]
        assert around.min() < 200


def test_the_same_labels_give_the_same_bytes() -> None:
    assert sheet_pdf(LABELS[:2]) == sheet_pdf(LABELS[:2])


@pytest.mark.parametrize("count", [0, SHEET_MAX_LABELS + 1])
def test_a_sheet_of_no_or_too_many_labels_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 500 labels"):
        sheet_pdf([LABELS[0]] * count)
