"""Where a setting stands in its TOML file, so that an error can name the line. ``tomllib`` keeps no places."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from typing import Final

import msgspec

_NAME: Final = re.compile(r"[a-z][\w-]*(\.[\w-]+)*(?=[: ])")
_AT: Final = re.compile(r" - at (?:`key` in )?`\$(?P<path>[^`]*)`$")
_UNKNOWN: Final = re.compile(r"unknown field `(?P<name>[^`]+)`")


def in_words(error: msgspec.ValidationError, table: str = "") -> str:
    """Return what msgspec found, beginning with the setting's name: ``lock.options.pulse_ms: Expected ...``.

    Args:
        error: of a conversion of ``table``, or of the whole file.
        table: its name, with dots.
    """
    text = str(error)
    at, unknown = _AT.search(text), _UNKNOWN.search(text)
    path = re.findall(r"\.([\w-]+)", at["path"]) if at else []
    name = ".".join([*filter(None, [table]), *path, *([unknown["name"]] if unknown else [])])
    said = _AT.sub("", text)
    return f"{name}: {said}" if name else said


def with_line(text: str, words: str) -> str:
    """Return ``line 12: lock.driver: ...`` for words that begin with a setting's name and the file they are about."""
    name = _NAME.match(words)
    line = line_of(text, name[0].split(".")) if name else None
    return words if line is None else f"line {line}: {words}"


def line_of(text: str, path: Sequence[str]) -> int | None:
    """Return the line, from 1, on which a setting ends, or that of the nearest table around it; ``None`` for neither.

    The file is read line by line: the first beginning of it that has the setting ends where the setting does.
    """
    best = (0, 0)
    lines = text.splitlines()
    for number in range(1, len(lines) + 1):
        try:
            beginning = tomllib.loads("\n".join(lines[:number]))
        except tomllib.TOMLDecodeError:
            continue  # in the middle of a value of several lines
        depth = _depth(beginning, path)
        if depth > best[0]:
            best = (depth, number)
    return best[1] or None


def _depth(values: object, path: Sequence[str]) -> int:
    depth = 0
    for name in path:
        if not isinstance(values, dict) or name not in values:
            break
        values, depth = values[name], depth + 1
    return depth
