"""The audit's chain of hashes, computed from its description alone (``session_service/audit/chain.py``).

The service has its own code for it; that both come to the same says that the description is enough for anybody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any, Final

GENESIS: Final = "0" * 64


def broken_links(rows: Iterable[Any]) -> Iterator[str]:
    """Yield what does not follow from the row before, for rows in the order of their ids."""
    previous = GENESIS
    for row, number in zip(rows, count(1), strict=False):
        if (row.id, row.previous) != (number, previous):
            yield f"audit row {row.id} does not follow the one before it"
        if row.hash != link(row):
            yield f"audit row {row.id} is not as it was written"
        previous = row.hash


def link(row: Any) -> str:  # noqa: ANN401 - a row of any database
    """Return the hash that a row must have."""
    fields = (row.id, row.at_ms, row.actor, row.action, row.subject, row.why, row.previous)
    texts = (str(field).encode() for field in fields)
    netstrings = b"".join(str(len(text)).encode() + b":" + text + b"," for text in texts)
    return hashlib.sha256(b"unlatch audit 1\n" + netstrings).hexdigest()
