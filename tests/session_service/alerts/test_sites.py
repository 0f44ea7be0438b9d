from __future__ import annotations

import pytest

from session_service.alerts.sites import TOGETHER_MS, has_failed, has_recovered


@pytest.mark.parametrize(
    ("devices", "silent_since_ms", "failed"),
    [
        pytest.param(3, [0, 1], True, id="two of three at once"),
        pytest.param(4, [0, 1], False, id="half is not most"),
        pytest.param(2, [0, 1], False, id="two may be chance"),
        pytest.param(3, [TOGETHER_MS, 0], True, id="in any order, at the end of the time"),
        pytest.param(3, [0, TOGETHER_MS + 1], False, id="too far apart"),
        pytest.param(5, [0, 500_000, 500_001, 600_000], True, id="one had been silent before"),
        pytest.param(3, [], False, id="none"),
    ],
)
def test_most_of_a_site_within_two_minutes(devices: int, silent_since_ms: list[int], *, failed: bool) -> None:
    assert has_failed(devices, silent_since_ms) is failed


def test_half_of_a_site_is_enough_to_be_back() -> None:
    assert (has_recovered(4, 2), has_recovered(4, 3), has_recovered(0, 0)) == (True, False, True)
