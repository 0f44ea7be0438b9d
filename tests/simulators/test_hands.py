from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from simulators import hands
from simulators.errors import DeedError
from simulators.hands import Facts, Hands


def do(request: Facts) -> Facts:
    if request["do"] == "jam":
        msg = "it is jammed already"
        raise DeedError(msg)
    if request["do"] == "stumble":
        return {"lat": float(request["lat"])}
    return {"did": request["do"], "to": request["device"]}


@pytest.fixture
async def root(tmp_path: Path) -> AsyncIterator[Path]:
    server = await hands.serve(tmp_path, do)
    yield tmp_path
    server.close()


async def test_deeds_are_done_and_answered_in_order(root: Path) -> None:
    async with Hands(root) as people:
        answers = await asyncio.gather(*(people.do(f"D{n}", "lock") for n in range(50)))
    assert [answer["to"] for answer in answers] == [f"D{n}" for n in range(50)]


@pytest.mark.parametrize(("deed", "why"), [("jam", "jammed already"), ("stumble", "lat")])
async def test_a_deed_that_cannot_be_done_says_why_and_spoils_nothing(root: Path, deed: str, why: str) -> None:
    async with Hands(root) as people:
        with pytest.raises(DeedError, match=why):
            await people.do("D", deed)
        assert (await people.do("D", "lock"))["did"] == "lock"


async def test_whoever_asks_a_fleet_that_has_gone_is_told(root: Path) -> None:
    async with Hands(root) as people:
        people._writer.transport.abort()
        with pytest.raises(DeedError, match="the fleet has ended"):
            await people.do("D", "lock")


async def test_programs_without_a_loop_can_ask_too(root: Path) -> None:
    assert (await asyncio.to_thread(hands.ask, root, "lock", "D"))["did"] == "lock"
    with pytest.raises(DeedError, match="jammed already"):
        await asyncio.to_thread(hands.ask, root, "jam", "D")


async def test_a_folder_whose_path_is_too_long_for_the_kernel_works_as_well(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    server = await hands.serve(deep, do)
    async with Hands(deep) as people:
        assert (await people.do("D", "lock"))["did"] == "lock"
    assert (await asyncio.to_thread(hands.ask, deep, "lock", "D"))["did"] == "lock"
    server.close()
