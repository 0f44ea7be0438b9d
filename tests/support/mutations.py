"""Structured random changes to genuine bytes, texts and JSON: what a stranger or a broken program may send."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Final

TEXTS: Final = (
    "", " ", "\0", "a\0b", "\n", "\u202e", "\ufeff", "\ud800", "\udfff\ud800", "\u0130", "\u017f", "\u0663" * 10,
    "\U0001f513", "\ufdfa", "e\u0301", "x" * 5_000, "-1", "null", "NaN", "%s%n%x", "../../etc/passwd", "{{7*7}}",
    "' OR 1=1 --", "\r\nSet-Cookie: a=b", "0123456789\n", "\x1b[2J",
)  # fmt: skip
NUMBERS: Final = (
    0, -0.0, 1, -1, 1.5, 100, 101, 2**31, 2**53 - 1, 2**53, 2**63 - 1, 2**63, 2**64, 10**400, -(10**400), 1e308, 5e-324,
    float("nan"), float("inf"), float("-inf"),
)  # fmt: skip
DEPTHS: Final = (2, 40, 600, 1_200, 5_000)
PIECES: Final = (
    b"\0", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b".", b"=", b"{", b"}", b'"', b"\\u0000", b"/", b"#", b"+", b"$",
    b"\n", b"\r\n", b"%00", b"A" * 5_000,
)  # fmt: skip

_DEEP: Final = "deep-here-"


def bytes_of(chance: random.Random, data: bytes, other: bytes = b"") -> bytes:
    """Return ``data`` with one to four changes; some take a piece of ``other``."""
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        data = _changed(chance, data, other)
    return data


def _changed(chance: random.Random, data: bytes, other: bytes) -> bytes:  # noqa: PLR0911 - an arm a change
    at = chance.randrange(len(data) + 1)
    to = min(len(data), at + chance.choice((1, 1, 2, 4, 16, 64, 400)))
    match chance.randrange(9):
        case 0 if at < len(data):
            return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]
        case 1 if at < len(data):
            return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        case 2:
            return data[:at]
        case 3:
            return data[:at] + data[to:]
        case 4:
            return data[:to] + data[at:to] * chance.choice((1, 1, 2, 8)) + data[to:]
        case 5:
            return data[:at] + chance.choice(PIECES) + data[at:]
        case 6:
            return data[:at] + chance.randbytes(to - at) + data[to:]
        case 7 if other:
            place = chance.randrange(len(other))
            return data[:at] + other[place : place + max(1, to - at)] + data[to:]
        case 8 if other:
            return data[:at] + other[chance.randrange(len(other)) :]
    return data[at:] + data[:at]


def text_of(chance: random.Random, text: str, other: str = "") -> str:
    """Return ``text`` changed: by bytes, by letters that look alike or change their case, or by something strange."""
    match chance.randrange(6):
        case 0:
            return chance.choice(TEXTS)
        case 1:
            at = chance.randrange(len(text) + 1)
            return text[:at] + chance.choice(TEXTS) + text[at:]
        case 2:
            return "".join(chance.choice((c.lower, c.upper, c.swapcase))() for c in text)
        case 3:
            return (
                chance.choice((" ", "\n", "\t", "\0", "\u00a0")) * chance.randrange(3) + text + chance.choice("\n \t\0")
            )
    return bytes_of(chance, text.encode(errors="replace"), other.encode(errors="replace")).decode(errors="replace")


def json_of(chance: random.Random, value: Any, others: Sequence[Any] = ()) -> bytes:
    """Return JSON that is ``value`` with one to three changes to its parts, or to its text."""
    tree = json.loads(json.dumps(value))
    for _ in range(chance.choice((1, 1, 2, 3))):
        tree = _change_part(chance, tree, chance.choice(others) if others else tree)
    text = _written(tree)
    if chance.random() < 0.15:
        text = _with_twins(chance, text, value)
    content = text.encode(errors="surrogatepass")
    return bytes_of(chance, content) if chance.random() < 0.1 else content


def _written(tree: Any) -> str:
    text = json.dumps(tree, ensure_ascii=True)
    for depth in DEPTHS:
        deep = "[" * depth + "]" * depth if depth % 3 else '{"a":' * depth + "1" + "}" * depth
        text = text.replace(f'"{_DEEP}{depth}"', deep)
    return text


def _with_twins(chance: random.Random, text: str, value: Any) -> str:
    """Name a key twice, first or last."""
    if not isinstance(value, dict) or not value or not text.startswith("{"):
        return text
    name = chance.choice(sorted(value))
    twin = f"{json.dumps(name)}:{_written(_strange(chance, value[name]))}"
    return f"{{{twin},{text[1:]}" if chance.random() < 0.5 else f"{text[:-1]},{twin}}}"


def _change_part(chance: random.Random, tree: Any, other: Any) -> Any:
    """Change one part, found by going down from the top; the nearer the top, the likelier."""
    if not isinstance(tree, dict | list) or not tree or chance.random() < 0.05:
        return _strange(chance, tree)
    names: list[Any] = sorted(tree) if isinstance(tree, dict) else list(range(len(tree)))
    name = chance.choice(names)
    match chance.randrange(10):
        case 0:
            del tree[name]
        case 1 if isinstance(tree, dict):
            tree[chance.choice((*TEXTS, "__proto__", "version", "device"))] = tree[name]
        case 2 if isinstance(tree, dict) and isinstance(other, dict) and other:
            theirs = chance.choice(sorted(other))
            tree[theirs] = deepcopy(other[theirs])
        case 3 if isinstance(tree, dict):
            theirs = chance.choice(names)
            tree[name], tree[theirs] = tree[theirs], tree[name]
        case _:
            part = tree[name]
            deeper = isinstance(part, dict | list) and part and chance.random() < 0.7
            tree[name] = _change_part(chance, part, other) if deeper else _strange(chance, part)
    return tree


def _strange(chance: random.Random, part: Any) -> Any:  # noqa: PLR0911 - an arm a kind
    """Return something in the place of ``part``: of its own kind or of another."""
    match chance.randrange(8):
        case 0:
            return chance.choice((None, True, False, [], {}, [part], {"a": part}, [part] * 50))
        case 1:
            return f"{_DEEP}{chance.choice(DEPTHS)}"
        case 2:
            return chance.choice(NUMBERS)
        case 3:
            return chance.choice(TEXTS)
    if isinstance(part, str):
        return text_of(chance, part)
    if isinstance(part, int | float) and not isinstance(part, bool):
        return chance.choice((part + 1, part - 1, -part, part * 1000, str(part), *NUMBERS))
    return chance.choice(TEXTS)
