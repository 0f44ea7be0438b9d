"""Every text that riders see exists in every language, says the same facts, and none is left over."""

from __future__ import annotations

import re
from functools import cache

import pytest
from babel.messages.catalog import Catalog, Message

from session_service.web import make_words
from session_service.web.language import LOCALES, NAMES, SOURCE

CODES = [code for code in NAMES if code != SOURCE]
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%")


@pytest.fixture(scope="module")
def texts() -> Catalog:
    return make_words.texts()


@cache
def catalogue(code: str) -> Catalog:
    return make_words.read(code)


def translations(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string or ())


@pytest.mark.parametrize("code", CODES)
def test_every_text_is_in_the_catalogue_and_no_other(texts: Catalog, code: str) -> None:
    wanted = {message.id for message in texts if message.id}
    found = {message.id for message in catalogue(code) if message.id}

    assert (wanted - found, found - wanted) == (set(), set()), "run: make words, and translate what is new"


@pytest.mark.parametrize("code", CODES)
def test_every_text_is_translated_with_the_same_facts(code: str) -> None:
    for message in catalogue(code):
        if not message.id:
            continue
        assert not message.fuzzy, message.id
        source = message.id if isinstance(message.id, str) else message.id[-1]
        for said in translations(message):
            assert said, f"not translated: {message.id}"
            assert sorted(PLACEHOLDER.findall(said)) == sorted(PLACEHOLDER.findall(source)), message.id
            assert "<" not in said, f"no markup in texts: {message.id}"


@pytest.mark.parametrize("code", CODES)
def test_every_text_has_the_plural_forms_of_its_language(code: str) -> None:
    plurals = [message for message in catalogue(code) if isinstance(message.id, tuple)]

    assert plurals
    assert {len(translations(message)) for message in plurals} == {catalogue(code).num_plurals}


@pytest.mark.parametrize("code", CODES)
def test_collecting_again_changes_nothing(texts: Catalog, code: str) -> None:
    assert make_words.updated(code, texts) == (LOCALES / f"{code}.po").read_bytes()


def test_what_is_new_is_counted_until_all_its_forms_are_said() -> None:
    catalogue = Catalog(locale="de")
    catalogue.add("Wallet", "Guthaben")
    catalogue.add(("%(num)s bike", "%(num)s bikes"), ("%(num)s Rad", "%(num)s Räder"))
    assert make_words.untranslated(catalogue) == 0

    catalogue.add("Scan")
    catalogue.add(("%(num)s pod", "%(num)s pods"), ("%(num)s Kabine", ""))
    assert make_words.untranslated(catalogue) == 2
