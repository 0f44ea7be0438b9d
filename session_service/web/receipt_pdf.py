"""A receipt as a page of A4, in the rider's language."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.pdfmetrics import registerFont, stringWidth
from reportlab.pdfgen.canvas import Canvas

from session_service.web.language import Language
from session_service.web.receipt_words import Row, Told

MARGIN_MM: Final = 22.0
LINE_MM: Final = 6.0
GAP_MM: Final = 4.0
TITLE_POINTS: Final = 20
HEADING_POINTS: Final = 12
TEXT_POINTS: Final = 10
SMALL_POINTS: Final = 8
GREY: Final = 0.35  # of the small print: dark enough for a poor printer
LATIN: Final = ("Helvetica", "Helvetica-Bold")
SPACES: Final = {0xA0: " ", 0x202F: " "}  # CLDR's narrow and unbroken ones, which these fonts do not have
CHINESE: Final = "STSong-Light"
"""One of Adobe's fonts for simplified Chinese that every reader brings, so that the file holds none."""


def render(language: Language, brand: str, told: Told) -> bytes:
    """Return the receipt's PDF: one page, because evidence that does not fit is on the receipt's own page."""
    page = _Page(language)
    page.canvas.setTitle(f"{brand}: {language.text('Receipt %(number)s') % {'number': told.number}}")
    page.canvas.setAuthor(brand)
    page.canvas.setCreator(brand)
    _draw(page, language, brand, told)
    return page.end()


def _draw(page: _Page, language: Language, brand: str, told: Told) -> None:
    _ = language.text
    page.text(brand, TITLE_POINTS, bold=True)
    page.gap()
    page.text(_("Receipt %(number)s") % {"number": told.number}, SMALL_POINTS, grey=True)
    page.text(f"{told.thing}, {told.day}" if told.day else told.thing, HEADING_POINTS, bold=True)
    page.text(told.outcome)
    page.gap()
    page.rows(told.times)
    page.heading(_("What it cost"))
    page.rows(told.lines)
    page.rule()
    page.rows(told.sums[:1], bold=True)
    page.rows(told.sums[1:])
    page.text(told.hold, SMALL_POINTS, grey=True)
    if told.debt:
        page.text(told.debt)
    if told.evidence:
        page.heading(_("What proves it"))
        page.rows(told.evidence, SMALL_POINTS)


@dataclass(slots=True)
class _Fonts:
    """The fonts of a language; Chinese has no bold one that readers bring."""

    usual: str
    bold: str

    @classmethod
    def of(cls, language: Language) -> _Fonts:
        if language.code != "zh":
            return cls(*LATIN)
        registerFont(UnicodeCIDFont(CHINESE))
        return cls(CHINESE, CHINESE)


class _Page:
    """A page that is written from top to bottom; what comes below its lower margin is left out."""

    def __init__(self, language: Language) -> None:
        self._bytes = io.BytesIO()
        self.canvas = Canvas(self._bytes, pagesize=A4, invariant=1)
        self._fonts = _Fonts.of(language)
        self._left, self._right = MARGIN_MM * mm, A4[0] - MARGIN_MM * mm
        self._y = A4[1] - MARGIN_MM * mm

    def gap(self, height_mm: float = GAP_MM) -> None:
        self._y -= height_mm * mm

    def rule(self) -> None:
        self.canvas.setLineWidth(0.5)
        self.canvas.line(self._left, self._y + 2 * mm, self._right, self._y + 2 * mm)
        self.gap(GAP_MM / 2)

    def heading(self, text: str) -> None:
        self.gap()
        self.text(text, HEADING_POINTS, bold=True)

    def text(self, text: str, points: float = TEXT_POINTS, *, bold: bool = False, grey: bool = False) -> None:
        """Write a paragraph over the whole width."""
        for line in self._broken(text, points, self._right - self._left, bold=bold):
            self._write(line, points, bold=bold, grey=grey)
            self.gap(LINE_MM)

    def rows(self, rows: list[Row], points: float = TEXT_POINTS, *, bold: bool = False) -> None:
        """Write what is on the left, in lines of its own if need be, and what is on the right."""
        for row in rows:
            width = stringWidth(row.value, self._font(bold=bold), points)
            lines = self._broken(row.what, points, self._right - self._left - width - GAP_MM * mm, bold=bold)
            for number, line in enumerate(lines):
                self._write(line, points, bold=bold)
                if number == 0:
                    self._write(row.value, points, bold=bold, from_right=True)
                self.gap(LINE_MM)

    def end(self) -> bytes:
        self.canvas.showPage()
        self.canvas.save()
        return self._bytes.getvalue()

    def _font(self, *, bold: bool) -> str:
        return self._fonts.bold if bold else self._fonts.usual

    def _write(
        self, text: str, points: float, *, bold: bool = False, grey: bool = False, from_right: bool = False
    ) -> None:
        if self._y < MARGIN_MM * mm:
            return
        self.canvas.setFont(self._font(bold=bold), points)
        self.canvas.setFillGray(GREY if grey else 0)
        draw = self.canvas.drawRightString if from_right else self.canvas.drawString
        draw(self._right if from_right else self._left, self._y, text.translate(SPACES))

    def _broken(self, text: str, points: float, width: float, *, bold: bool) -> list[str]:
        """Break at spaces, and, where a script has none, between any two characters."""
        font, lines, line = self._font(bold=bold), [], ""
        for piece in text.split(" ") if " " in text else list(text):
            longer = f"{line} {piece}" if line and " " in text else line + piece
            if line and stringWidth(longer, font, points) > width:
                lines.append(line)
                line = piece
            else:
                line = longer
        return [*lines, line] if text else []
