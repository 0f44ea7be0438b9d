"""The rider's language: which one it is, and how it says texts, money and times.

English is the source text; the others are gettext catalogues in ``locales/``, read as they are, so that there is no
compiled copy that could be old. Money and times are Babel's, which has them from Unicode's CLDR.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import Final, Literal, TypeAlias

from babel import Locale
from babel.dates import format_date, format_time, format_timedelta
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency, get_currency_precision
from babel.units import format_unit

LOCALES: Final = Path(__file__).parent / "locales"
SOURCE: Final = "en"
NAMES: Final[Mapping[str, str]] = {"en": "English", "de": "Deutsch", "zh": "中文"}
"""The languages that every text exists in, each by its own name."""

MINUTE_S: Final = 60
HOUR_S: Final = 3_600
KILOMETRE_M: Final = 1_000
MAX_RANGES: Final = 20  # of an Accept-Language; browsers send five

_Unit: TypeAlias = Literal["hour", "minute", "second"]


@dataclass(frozen=True, slots=True)
class Language:
    """One language, and the clock of the city that its times are told in."""

    code: str
    locale: Locale
    catalogue: NullTranslations
    zone: tzinfo = UTC

    def text(self, message: str) -> str:
        """Return a text in this language."""
        return self.catalogue.gettext(message)

    def money(self, amount_minor: int, currency: str) -> str:
        """Return an amount of minor units, as people write it: ``€0.50``, ``0,50 €``."""
        return format_currency(amount_minor / 10 ** get_currency_precision(currency), currency, locale=self.locale)

    def clock(self, civil_ms: int) -> str:
        """Return the time of day of a civil time in milliseconds, with seconds."""
        return format_time(self._at(civil_ms), "medium", tzinfo=self.zone, locale=self.locale)

    def day(self, civil_ms: int) -> str:
        """Return the date of a civil time in milliseconds."""
        return format_date(self._at(civil_ms), "medium", locale=self.locale)

    def duration(self, seconds: float) -> str:
        """Return a span of time in its greatest whole unit up to hours: ``1 minute``, ``90 seconds``, ``24 hours``."""
        whole = round(seconds)
        unit: _Unit = "second"
        if whole >= MINUTE_S and whole % MINUTE_S == 0:
            unit = "hour" if whole % HOUR_S == 0 else "minute"
        return format_timedelta(whole, granularity=unit, threshold=math.inf, locale=self.locale)

    def about(self, seconds: float) -> str:
        """Return a span of time as people say it, rounded: ``3 minutes``."""
        return format_timedelta(timedelta(seconds=seconds), threshold=1, granularity="second", locale=self.locale)

    def distance(self, metres: float) -> str:
        """Return a distance as people write it, short, which CLDR has in every language: ``80 m``, ``1.2 km``."""
        if metres < KILOMETRE_M:
            return self._unit(max(10, round(metres / 10) * 10), "length-meter")
        return self._unit(round(metres / KILOMETRE_M, 1), "length-kilometer")

    def _unit(self, value: float, unit: str) -> str:
        return format_unit(value, unit, length="short", locale=self.locale)

    def _at(self, civil_ms: int) -> datetime:
        return datetime.fromtimestamp(civil_ms / 1000, self.zone)


@lru_cache(maxsize=16)  # three languages, one city
def language(code: str, zone: tzinfo = UTC) -> Language:
    """Return one of ``NAMES``.

    Raises:
        KeyError: it is none of them.
    """
    if code not in NAMES:
        raise KeyError(code)
    return Language(code, Locale.parse(code), _catalogue(code), zone)


def _catalogue(code: str) -> NullTranslations:
    source = LOCALES / f"{code}.po"
    if code == SOURCE or not source.exists():
        return NullTranslations()
    with source.open("rb") as file:
        catalogue = read_po(file, locale=code)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)


def wanted(asked: str | None, chosen: str | None, accepted: str) -> str:
    """Return the language to speak: as just asked for, as chosen before, as the browser would have it, or English.

    Args:
        asked: of the address (``?lang=de``).
        chosen: of the cookie.
        accepted: the browser's ``Accept-Language`` (RFC 9110 section 12.5.4).
    """
    for code in (asked, chosen, *_ranges(accepted)):
        primary = (code or "").partition("-")[0].lower()
        if primary in NAMES:
            return primary
    return SOURCE


def _ranges(accepted: str) -> list[str]:
    """Return the ranges of an ``Accept-Language``, the best first; what is malformed counts as not wanted."""
    weighed = []
    for part in accepted.split(",")[:MAX_RANGES]:
        code, _, weight = part.strip().partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            quality = 0.0
        if quality > 0:
            weighed.append((-quality, code.strip()))
    return [code for _, code in sorted(weighed, key=lambda found: found[0])]
