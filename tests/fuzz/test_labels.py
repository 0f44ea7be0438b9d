"""Texts that are almost labels: refused by one of the documented errors, and taken only if they are a genuine one."""

from __future__ import annotations

import random
from typing import Final

from session_service.errors import Problem
from session_service.labels import service, token
from session_service.labels.errors import ForeignLabelError, ForgedLabelError, MalformedLabelError
from session_service.labels.token import CROCKFORD, LabelKeys, mint
from tests.support import mutations
from tests.support.fuzzing import MIB, Area, Fuzzing

HOST: Final = "UNLATCH.EXAMPLE"
KEYS: Final = LabelKeys(secrets={"A": b"a" * 32, "B": b"b" * 32}, current="A")
STRANGERS: Final = LabelKeys(secrets={"A": b"s" * 32}, current="A")
GENUINE: Final = tuple(mint(KEYS, host=HOST, label_id=f"{n:010}", generation=g) for n in range(20) for g in (1, 2, 100))
FORGED: Final = tuple(mint(STRANGERS, host=HOST, label_id=f"{n:010}", generation=1) for n in range(20))
FOREIGN: Final = tuple(mint(KEYS, host=f"CITY{n}.EXAMPLE:8443", label_id=f"{n:010}", generation=1) for n in range(20))
GROWTH_MAX_BYTES: Final = 16 * MIB  # nothing is kept of a text that is at most 400 characters before it is refused


def one_character_other(chance: random.Random, text: str) -> str:
    at = chance.randrange(len(text))
    return text[:at] + chance.choice(CROCKFORD) + text[at + 1 :]


def crossed(chance: random.Random, text: str) -> str:
    """Put a piece of another label into one: its host, its id, its mac."""
    parts, others = text.split("/"), chance.choice((*GENUINE, *FORGED, *FOREIGN)).split("/")
    place = chance.randrange(len(parts))
    return "/".join([*parts[:place], others[place], *parts[place + 1 :]])


def text_of(chance: random.Random) -> str:
    text, other = chance.choice((*GENUINE, *GENUINE, *FORGED, *FOREIGN)), chance.choice(GENUINE)
    match chance.randrange(20):
        case 0:
            return one_character_other(chance, text)
        case 1:
            return crossed(chance, text)
        case 2:
            return text + chance.choice(("?a=b", "#x", "/", "\0", text)) * chance.choice((1, 40, 4_000))
        case 3:
            return text
    return mutations.text_of(chance, text, other)


def judged(text: str) -> tuple[str | None, type[Problem] | None]:
    """Return as which label a text is taken, or why it is not."""
    try:
        return service.genuine(text, KEYS, host=HOST).text, None
    except (MalformedLabelError, ForeignLabelError, ForgedLabelError) as refused:
        refused.detail.encode()  # it goes into an answer
        return None, type(refused)


def test_only_a_genuine_label_is_taken_for_one() -> None:
    with Fuzzing(Area.LABELS, growth_max_bytes=GROWTH_MAX_BYTES) as run:
        for chance in run:
            text = text_of(chance)
            looks = token.looks_like_label(text)
            taken, refused = judged(text)
            assert looks is (refused is not MalformedLabelError), text
            assert taken is None or taken in GENUINE, text
            run.outcomes["genuine" if refused is None else refused.type] += 1
        run.saw("genuine", MalformedLabelError.type, ForeignLabelError.type, ForgedLabelError.type)
