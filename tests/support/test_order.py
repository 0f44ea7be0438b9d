from __future__ import annotations

from itertools import pairwise

from tests.support.order import BROWSER, LONG, spread

FILES = [
    *(f"{BROWSER}test_{n}.py" for n in range(4)),
    *(f"{LONG[0]}test_{n}.py" for n in range(2)),
    *(f"tests/test_{n}.py" for n in range(30)),
]


def test_each_file_has_one_place() -> None:
    assert sorted(spread(FILES)) == sorted(FILES)
    assert list(spread(["tests/test_1.py"])) == ["tests/test_1.py"]


def test_long_ones_come_first_and_none_with_a_browser_last() -> None:
    order = list(spread(FILES))

    assert order[0].startswith(LONG)
    assert not any(file.startswith((BROWSER, *LONG)) for file in order[-10:])
    assert not any(one.startswith(BROWSER) and other.startswith(BROWSER) for one, other in pairwise(order))
