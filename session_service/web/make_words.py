"""Collects the texts of riders' pages into the catalogues in ``locales/``, for whoever translates them.

What is new comes in empty, what is no longer said goes out, and what is translated stays. The catalogues name the files
where a text stands and no lines, so that they change with the words only::

    python -m session_service.web.make_words
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from session_service.web.language import LOCALES, NAMES, SOURCE

WEB: Final = Path(__file__).parent
METHODS: Final = [("**.py", "python"), ("templates/**.html", "jinja2")]
OPTIONS: Final = {"templates/**.html": {"newstyle_gettext": "true", "silent": "false"}}
"""A template that does not parse is an error, and not one without texts."""

WITHOUT_TEXTS: Final = frozenset({"node_modules", "static", "vendor", "locales"})
UNBROKEN: Final = 0  # width of a line: a text in one piece is easier to search for


def texts() -> Catalog:
    """Return every text of the pages, with the files where it stands."""
    found = Catalog()
    told = extract_from_dir(WEB, METHODS, OPTIONS, directory_filter=_has_texts)
    for name, _line, message, comments, context in sorted(told, key=lambda each: each[:2]):
        found.add(message, None, [(name, 0)], auto_comments=comments, context=context)
    return found


def read(code: str) -> Catalog:
    """Return the catalogue of a language; an empty one if there is none yet."""
    source = LOCALES / f"{code}.po"
    if not source.exists():
        return Catalog(locale=code)
    with source.open("rb") as file:
        return read_po(file, locale=code)


def updated(code: str, wanted: Catalog) -> bytes:
    """Return the text of a language's catalogue with the wanted texts and no others."""
    catalogue = read(code)
    catalogue.update(wanted, no_fuzzy_matching=True)
    for message in catalogue:
        if message.pluralizable and not any(_forms(message)):
            message.string = ("",) * catalogue.num_plurals  # as many forms as the language has
    text = io.BytesIO()
    write_po(
        text,
        catalogue,
        width=UNBROKEN,
        omit_header=True,
        sort_by_file=True,
        ignore_obsolete=True,
        include_lineno=False,
    )
    return text.getvalue()


def untranslated(catalogue: Catalog) -> int:
    """Return how many texts have no words in a language yet."""
    return sum(not all(_forms(message)) for message in catalogue if message.id)


def main() -> None:
    """Bring every catalogue up to date, and say what is left to translate."""
    wanted = texts()
    for code in NAMES:
        if code == SOURCE:
            continue
        (LOCALES / f"{code}.po").write_bytes(updated(code, wanted))
        sys.stdout.write(f"{code}: {len(wanted)} texts, {untranslated(read(code))} to translate\n")


def _forms(message: Message) -> tuple[str, ...]:
    said = message.string or ""
    return (said,) if isinstance(said, str) else tuple(said)


def _has_texts(folder: str) -> bool:
    return Path(folder).name not in WITHOUT_TEXTS


if __name__ == "__main__":
    main()
