# noqa: INP001 - a program by itself
"""Writes ``requirements.lock`` beside this file: of the project's lock what a server needs, with the same hashes.

Run by `make lock`, in an environment that has all packages: their own metadata says what each of them needs.
"""

from __future__ import annotations

import re
from importlib.metadata import requires
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE: Final = Path(__file__).parent
EXTRAS: Final = ("service", "trace")


def locked(text: str) -> list[tuple[str, str]]:
    """Return each entry of a lock with the name of its package; of some there is one for each of several Pythons."""
    blocks = re.findall(r"^\S.*(?:\n[ \t]+.*)*", text, re.MULTILINE)
    return [(canonicalize_name(re.split(r"[=\[ ;]", block, maxsplit=1)[0]), block) for block in blocks]


def needed(project: str, extras: tuple[str, ...]) -> set[str]:
    """Return the names of all packages that a project with these extras needs, on whatever Python and machine."""
    found: set[str] = set()
    waiting = [(project, extras)]
    while waiting:
        name, wanted = waiting.pop()
        for line in requires(name) or []:
            one = Requirement(line)
            if one.marker is not None and not any(one.marker.evaluate({"extra": extra}) for extra in ("", *wanted)):
                continue
            if (key := canonicalize_name(one.name)) not in found:
                found.add(key)
                waiting.append((key, tuple(one.extras)))
    return found


def server_lock() -> str:
    """Return the text of the server's lock."""
    blocks = locked((HERE.parents[1] / "requirements.lock").read_text())
    wanted = needed("unlatch", EXTRAS)
    return "".join(f"{block}\n" for name, block in blocks if name in wanted)


if __name__ == "__main__":
    (HERE / "requirements.lock").write_text(server_lock())
