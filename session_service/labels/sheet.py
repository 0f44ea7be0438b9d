"""A printable sheet of labels: PDF with vector codes, so that any printer's own resolution is used."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from reportlab.lib.pagesizes import A4, LETTER
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from session_service.labels.render import caption_of, dark_runs, modules

CELL_WIDTH_MM: Final = 46.0  # four in a row on either paper
CELL_HEIGHT_MM: Final = 58.0
SYMBOL_MM: Final = 41.0  # quiet zone included: a module is 1 mm, which a phone reads from 60 cm and more
SYMBOL_TOP_MM: Final = 1.5  # from the cell's upper edge
BRAND_BASELINE_MM: Final = 13.4  # from the cell's lower edge, as the others: below the code's quiet zone
BRAND_POINTS: Final = 7  # 28 capitals, the longest name, stay within the cell
NUMBER_BASELINE_MM: Final = 6.4
NUMBER_POINTS: Final = 24
HOST_BASELINE_MM: Final = 3.6
HOST_POINTS: Final = 6  # 38 characters, the longest host, stay within the cell
TAMPER_BASELINE_MM: Final = 1.2
TAMPER_POINTS: Final = 5.5  # shrinks for a line that is wider than the cell
MARGIN_MM: Final = 10.0  # printers leave 4 to 6 mm blank; the grid is centred in what is left
CUT_MARK_MM: Final = 1.5  # ends before the code's quiet zone
CUT_MARK_POINTS: Final = 0.3
SHEET_MAX_LABELS: Final = 500  # 32 pages, made in two and a half seconds


class Paper(StrEnum):
    """Paper sizes."""

    A4 = "a4"
    LETTER = "letter"


SIZES: Final = {Paper.A4: A4, Paper.LETTER: LETTER}


@dataclass(frozen=True, slots=True)
class SheetLabel:
    """One label on a sheet: its text, and the number printed on the device."""

    text: str
    number: int


@dataclass(frozen=True, slots=True)
class Look:
    """What stands on every label beside its code, its number and its host, in characters of Latin-1.

    Attributes:
        brand: whose it is, so that a sticker of somebody else's looks wrong.
        tamper_text: a line against peeling it off, or nothing.
    """

    brand: str = ""
    tamper_text: str = ""


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where the cells lie on one kind of paper, in points from the lower left corner."""

    columns: int
    rows: int
    left: float
    bottom: float

    @property
    def cells(self) -> int:
        return self.columns * self.rows

    def corner(self, place: int) -> tuple[float, float]:
        """Return the lower left corner of a cell; cells are counted row by row from the top."""
        row, column = divmod(place, self.columns)
        return self.left + column * CELL_WIDTH_MM * mm, self.bottom + (self.rows - 1 - row) * CELL_HEIGHT_MM * mm


PLAIN: Final = Look()


def sheet_pdf(labels: Sequence[SheetLabel], paper: Paper = Paper.A4, look: Look = PLAIN) -> bytes:
    """Return a PDF with the labels in their order, 16 on a page.

    The same labels give the same bytes.

    Raises:
        ValueError: for no label, more than 500, or a text or number that cannot be drawn.
    """
    if not 1 <= len(labels) <= SHEET_MAX_LABELS:
        msg = f"a sheet takes 1 to {SHEET_MAX_LABELS} labels, not {len(labels)}"
        raise ValueError(msg)
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=SIZES[paper], invariant=1)
    canvas.setTitle("Labels")
    grid = _grid(paper)
    for start in range(0, len(labels), grid.cells):
        _draw_page(canvas, grid, labels[start : start + grid.cells], look)
    canvas.save()
    return buffer.getvalue()


def _grid(paper: Paper) -> _Grid:
    width, height = SIZES[paper]
    columns = int((width - 2 * MARGIN_MM * mm) // (CELL_WIDTH_MM * mm))
    rows = int((height - 2 * MARGIN_MM * mm) // (CELL_HEIGHT_MM * mm))
    left = (width - columns * CELL_WIDTH_MM * mm) / 2
    bottom = (height - rows * CELL_HEIGHT_MM * mm) / 2
    return _Grid(columns, rows, left, bottom)


def _draw_page(canvas: Canvas, grid: _Grid, labels: Sequence[SheetLabel], look: Look) -> None:
    for place, label in enumerate(labels):
        left, bottom = grid.corner(place)
        _draw_symbol(
            canvas,
            label.text,
            left + (CELL_WIDTH_MM - SYMBOL_MM) / 2 * mm,
            bottom + (CELL_HEIGHT_MM - SYMBOL_TOP_MM) * mm,
        )
        _draw_words(canvas, label, look, left + CELL_WIDTH_MM / 2 * mm, bottom)
        _draw_cut_marks(canvas, left, bottom)
    canvas.showPage()


def _draw_words(canvas: Canvas, label: SheetLabel, look: Look, middle: float, bottom: float) -> None:
    lines = (
        (look.brand, "Helvetica-Bold", BRAND_POINTS, BRAND_BASELINE_MM),
        (caption_of(label.number), "Helvetica-Bold", NUMBER_POINTS, NUMBER_BASELINE_MM),
        (_host_of(label.text), "Helvetica", HOST_POINTS, HOST_BASELINE_MM),
        (look.tamper_text, "Helvetica-Oblique", TAMPER_POINTS, TAMPER_BASELINE_MM),
    )
    widest = (CELL_WIDTH_MM - 2 * CUT_MARK_MM) * mm
    for words, font, points, baseline_mm in lines:
        width = stringWidth(words, font, points)
        canvas.setFont(font, points * min(1, widest / width) if width else points)
        canvas.drawCentredString(middle, bottom + baseline_mm * mm, words)


def _draw_symbol(canvas: Canvas, text: str, left: float, top: float) -> None:
    """Draw one path for the whole code: separate shapes would show seams when rasterised."""
    symbol = modules(text)
    module = SYMBOL_MM * mm / len(symbol)
    path = canvas.beginPath()
    for x, y, length in dark_runs(symbol):
        path.rect(left + x * module, top - (y + 1) * module, length * module, module)
    canvas.drawPath(path, stroke=0, fill=1)


def _draw_cut_marks(canvas: Canvas, left: float, bottom: float) -> None:
    """Draw a small cross at each corner of the cell."""
    canvas.setLineWidth(CUT_MARK_POINTS)
    arm = CUT_MARK_MM * mm
    for x in (left, left + CELL_WIDTH_MM * mm):
        for y in (bottom, bottom + CELL_HEIGHT_MM * mm):
            canvas.line(x - arm, y, x + arm, y)
            canvas.line(x, y - arm, x, y + arm)


def _host_of(text: str) -> str:
    """Return the host of an address, as a person would type it."""
    return text.split("/", 3)[2].lower()
