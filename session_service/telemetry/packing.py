"""Packs rows of telemetry into few bytes: most columns change little from row to row, and some follow from others.

What follows from others is left out, each column is a first number and small differences, each difference takes as many
bytes as the column's largest needs, and deflate (RFC 1951) takes care of what repeats. Telemetry that stands still
comes to a byte a row.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final

from session_service.telemetry.columns import EXTREMES, NAMES, Columns

VERSION: Final = 1
ROWS_MAX: Final = 65_535  # in one pack, for its count; an hour of heartbeats has 120
LEVEL: Final = 6  # of deflate: 9 takes twice as long for a hundredth less
_CODES: Final = (("b", 2**7), ("h", 2**15), ("i", 2**31), ("q", 2**63))
"""Widths of a column's numbers, as ``struct`` names them; in upper case they are differences."""
_NOTHING: Final = "-"
"""All of a column's numbers are the first one."""


def pack(columns: Columns) -> bytes:
    """Return rows as bytes, to be read by ``unpack``.

    Raises:
        struct.error: there are more than ``ROWS_MAX``, or a number has more than 64 bits.
    """
    lean = _without_what_follows(columns)
    kinds, firsts, bodies = "", [], []
    for name in NAMES:
        kind, first, body = _packed(lean[name])
        kinds += kind
        firsts.append(first)
        bodies.append(body)
    head = struct.pack(f"<H{len(NAMES)}s{len(NAMES)}q", len(columns["at_s"]), kinds.encode(), *firsts)
    squeezed = zlib.compressobj(LEVEL, wbits=-zlib.MAX_WBITS)
    return bytes([VERSION]) + squeezed.compress(head + b"".join(bodies)) + squeezed.flush()


def unpack(packed: bytes) -> Columns:
    """Return the rows.

    Raises:
        ValueError: a version that this one does not know.
        zlib.error, struct.error: it is no such pack.
    """
    if packed[0] != VERSION:
        msg = f"telemetry of version {packed[0]}, which this version cannot read"
        raise ValueError(msg)
    data = zlib.decompress(packed[1:], wbits=-zlib.MAX_WBITS)
    head = f"<H{len(NAMES)}s{len(NAMES)}q"
    rows, kinds, *firsts = struct.unpack_from(head, data)
    at, columns = struct.calcsize(head), {}
    for name, kind, first in zip(NAMES, kinds.decode(), firsts, strict=True):
        columns[name], taken = _unpacked(kind, first, rows, data, at)
        at += taken
    return _with_what_follows(columns)


def _packed(values: Sequence[int]) -> tuple[str, int, bytes]:
    first = values[0] if values else 0
    steps = [after - before for before, after in pairwise(values)]
    if not any(steps):
        return _NOTHING, first, b""
    apart = [value - first for value in values[1:]]
    is_walk = sum(map(abs, steps)) < sum(map(abs, apart))
    numbers = steps if is_walk else apart
    most = max(map(abs, numbers))
    code = next(code for code, end in _CODES if most < end)
    return code.upper() if is_walk else code, first, struct.pack(f"<{len(numbers)}{code}", *numbers)


def _unpacked(kind: str, first: int, rows: int, data: bytes, at: int) -> tuple[list[int], int]:
    if kind == _NOTHING or not rows:
        return [first] * rows, 0
    form = f"<{rows - 1}{kind.lower()}"
    numbers = struct.unpack_from(form, data, at)
    values = accumulate(numbers, initial=first) if kind.isupper() else (first, *(first + n for n in numbers))
    return list(values), struct.calcsize(form)


def _without_what_follows(columns: Columns) -> Columns:
    """Return the columns with what can be reckoned from others taken out of them: zeros, for what mostly holds."""
    lean = dict(columns)
    lean["uptime_last_s"] = _less(columns["uptime_last_s"], columns["at_s"])
    for name in EXTREMES:
        counts, least, most, total = (columns[it] for it in _parts(name))
        if name != "outbox":
            lean[f"{name}_n"] = _less(columns["beats"], counts)
        lean[f"{name}_max"] = _less(most, least)
        # Of one or two beats the sum is half of (least + most) times their number.
        lean[f"{name}_sum"] = [2 * s - (lo + hi) * n for s, lo, hi, n in zip(total, least, most, counts, strict=True)]
    return lean


def _with_what_follows(lean: Columns) -> Columns:
    columns = dict(lean)
    columns["uptime_last_s"] = _plus(lean["uptime_last_s"], lean["at_s"])
    for name in EXTREMES:
        count, least, most, total = _parts(name)
        if name != "outbox":
            columns[count] = _less(lean["beats"], lean[count])
        columns[most] = _plus(lean[most], lean[least])
        of = zip(lean[total], columns[least], columns[most], columns[count], strict=True)
        columns[total] = [(rest + (lo + hi) * n) // 2 for rest, lo, hi, n in of]
    return columns


def _parts(name: str) -> tuple[str, str, str, str]:
    return "beats" if name == "outbox" else f"{name}_n", f"{name}_min", f"{name}_max", f"{name}_sum"


def _less(these: Sequence[int], those: Sequence[int]) -> list[int]:
    return [this - that for this, that in zip(these, those, strict=True)]


def _plus(these: Sequence[int], those: Sequence[int]) -> list[int]:
    return [this + that for this, that in zip(these, those, strict=True)]
