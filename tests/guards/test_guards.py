"""The list of guards agrees with the code; ``make mutants`` takes minutes, and says more."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.guards.guard import Guard
from tests.mutants import GUARDS
from tests.support.planting import ROOT


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_a_guard_is_where_the_list_says_and_its_tests_are_there(guard: Guard) -> None:
    for change in guard.changes:
        stands = (ROOT / change.file).read_text().count(change.old)
        assert stands == 1, f"{change.file} has changed: say in tests/guards how {guard.name!r} is removed now"
    for name in guard.tests:
        file, _, test = name.partition("::")
        text = (ROOT / "tests" / file).read_text()
        assert f"def {test.partition('[')[0]}(" in text, f"say in tests/guards which test now notices {guard.name!r}"


def test_each_guard_has_a_name_of_its_own() -> None:
    assert [name for name, count in Counter(guard.name for guard in GUARDS).items() if count > 1] == []
