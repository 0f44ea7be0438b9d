"""What is packed comes out as it went in, and is small where little changes."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_service.telemetry.columns import EXTREMES, NAMES, Columns, empty, fold, minutes_of, of_samples
from session_service.telemetry.packing import pack, unpack
from session_service.telemetry.sample import Sample

MOST = 2**31 - 1
ROW = st.fixed_dictionaries({name: st.integers(-MOST, MOST) for name in NAMES})


def columns_of(rows: list[dict[str, int]]) -> Columns:
    return {name: [row[name] for row in rows] for name in NAMES}


@given(rows=st.lists(ROW, max_size=130))
def test_whatever_is_packed_comes_out_again(rows: list[dict[str, int]]) -> None:
    columns = columns_of(rows)
    for name in EXTREMES:  # a sum fits the number that it is of, which the tables' columns see to
        count = "beats" if name == "outbox" else f"{name}_n"
        columns[count] = [abs(value) % 120 for value in columns[count]]
    assert unpack(pack(columns)) == columns


def test_an_hour_that_stands_still_takes_less_than_a_byte_a_heartbeat() -> None:
    still = [Sample(n // 2, 7, n % 2 * 30_000, 100 + 30 * n, 0, 80, -71, 215) for n in range(120)]
    beats = of_samples(still, 0)
    assert len(pack(beats)) < 120
    assert len(pack(minutes_of(beats))) < 120
    assert fold(unpack(pack(minutes_of(beats))))["beats"] == 120


def test_what_is_no_pack_is_refused() -> None:
    good = pack(empty())
    with pytest.raises(ValueError, match="version 2"):
        unpack(b"\x02" + good[1:])
    with pytest.raises(zlib.error):
        unpack(good[:3])
