r"""How rows of the audit hang together. Pure, and short enough to be written again in any language.

A row's hash is SHA-256 over ``unlatch audit 1\n`` and then seven fields, each as a netstring (its length in bytes as a
decimal number, a colon, its bytes, a comma; https://cr.yp.to/proto/netstrings.txt): id, at_ms, actor, action,
subject, why, and the hash of the row before; numbers as decimal digits, text as UTF-8, hashes as lower-case hexadecimal
digits. Lengths leave no doubt where a field ends, so no two rows have the same form. The first row, whose id is 1,
follows ``GENESIS``.

What this shows: a row that was changed, removed, put in or moved without computing all later hashes anew. What it
cannot show by itself: that the newest rows were cut off, or that everything from some row on was written anew by
somebody who can write to the database. Both need the newest hash as it was at some time, kept where that somebody
cannot write: `unlatch audit head` prints it, `unlatch audit verify --head HASH` looks for it.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

GENESIS: Final = "0" * 64
"""What stands for the hash of a row before the first; no row can be found that has it."""

FIRST_ID: Final = 1
_PURPOSE: Final = b"unlatch audit 1\n"


class Content(NamedTuple):
    """What a row says, in the order in which it is hashed."""

    id: int
    at_ms: int
    actor: str
    action: str
    subject: str
    why: str


def hash_of(content: Content, previous: str) -> str:
    """Return the hash of a row that follows the one with the hash ``previous``."""
    fields = (str(field).encode() for field in (*content, previous))
    return hashlib.sha256(_PURPOSE + b"".join(b"%d:%b," % (len(field), field) for field in fields)).hexdigest()
