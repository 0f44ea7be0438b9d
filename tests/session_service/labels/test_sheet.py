from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import zxingcpp
from PIL import Image

from session_service.labels.sheet import SHEET_MAX_LABELS, Paper, SheetLabel, sheet_pdf
from tests.support.photos import label_text

needs_poppler = pytest.mark.skipif(
    shutil.which("pdftoppm") is None, reason="pdftoppm is missing: apt-get install poppler-utils"
)
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
def test_number_and_host_stand_in_clear_text(tmp_path: Path) -> None:
    source = tmp_path / "sheet.pdf"
    source.write_bytes(sheet_pdf(LABELS[:3]))
    printed = subprocess.run(["pdftotext", source, "-"], check=True, capture_output=True, text=True, timeout=60).stdout
    words = printed.split()
    assert [word for word in words if word.isdigit()] == ["1000", "1001", "1002"]
    assert words.count("unlatch.example") == 3


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
    with pytest.raises(ValueError, match="1 to 400 labels"):
        sheet_pdf([LABELS[0]] * count)
