"""A printable sheet of labels: PDF with vector codes, so that any printer's own resolution is used."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from reportlab.lib.pagesizes import A4, LETTER
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from session_service.labels.render import caption_of, dark_runs, modules

CELL_WIDTH_MM: Final = 46.0  # four in a row on either paper
CELL_HEIGHT_MM: Final = 58.0
SYMBOL_MM: Final = 41.0  # quiet zone included: a module is 1 mm, which a phone reads from 60 cm and more
SYMBOL_TOP_MM: Final = 1.5  # from the cell's upper edge
NUMBER_BASELINE_MM: Final = 6.5  # from the cell's lower edge
NUMBER_POINTS: Final = 24
HOST_BASELINE_MM: Final = 2.5
HOST_POINTS: Final = 6  # 38 characters, the longest host, stay within the cell
MARGIN_MM: Final = 10.0  # printers leave 4 to 6 mm blank; the grid is centred in what is left
CUT_MARK_MM: Final = 1.5  # ends before the code's quiet zone
CUT_MARK_POINTS: Final = 0.3
SHEET_MAX_LABELS: Final = 400  # 25 pages, made in about two seconds


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


def sheet_pdf(labels: Sequence[SheetLabel], paper: Paper = Paper.A4) -> bytes:
    """Return a PDF with the labels in their order, 16 on a page.

    The same labels give the same bytes.

    Raises:
        ValueError: for no label, more than 400, or a text or number that cannot be drawn.
    """
    if not 1 <= len(labels) <= SHEET_MAX_LABELS:
        msg = f"a sheet takes 1 to {SHEET_MAX_LABELS} labels, not {len(labels)}"
        raise ValueError(msg)
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=SIZES[paper], invariant=1)
    canvas.setTitle("Labels")
    grid = _grid(paper)
    for start in range(0, len(labels), grid.cells):
        _draw_page(canvas, grid, labels[start : start + grid.cells])
    canvas.save()
    return buffer.getvalue()


def _grid(paper: Paper) -> _Grid:
    width, height = SIZES[paper]
    columns = int((width - 2 * MARGIN_MM * mm) // (CELL_WIDTH_MM * mm))
    rows = int((height - 2 * MARGIN_MM * mm) // (CELL_HEIGHT_MM * mm))
    left = (width - columns * CELL_WIDTH_MM * mm) / 2
    bottom = (height - rows * CELL_HEIGHT_MM * mm) / 2
    return _Grid(columns, rows, left, bottom)


def _draw_page(canvas: Canvas, grid: _Grid, labels: Sequence[SheetLabel]) -> None:
    for place, label in enumerate(labels):
        left, bottom = grid.corner(place)
        _draw_label(canvas, label, left, bottom)
        _draw_cut_marks(canvas, left, bottom)
    canvas.showPage()


def _draw_label(canvas: Canvas, label: SheetLabel, left: float, bottom: float) -> None:
    symbol_left = left + (CELL_WIDTH_MM - SYMBOL_MM) / 2 * mm
    symbol_top = bottom + (CELL_HEIGHT_MM - SYMBOL_TOP_MM) * mm
    _draw_symbol(canvas, label.text, symbol_left, symbol_top)
    middle = left + CELL_WIDTH_MM / 2 * mm
    canvas.setFont("Helvetica-Bold", NUMBER_POINTS)
    canvas.drawCentredString(middle, bottom + NUMBER_BASELINE_MM * mm, caption_of(label.number))
    canvas.setFont("Helvetica", HOST_POINTS)
    canvas.drawCentredString(middle, bottom + HOST_BASELINE_MM * mm, _host_of(label.text))


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
