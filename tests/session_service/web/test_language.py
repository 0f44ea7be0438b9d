from __future__ import annotations

import pytest

from session_service.web.language import language


@pytest.mark.parametrize(
    ("code", "seconds", "said"),
    [
        ("en", 1, "1 second"),
        ("en", 60, "1 minute"),
        ("en", 90, "90 seconds"),
        ("en", 86_400.0, "24 hours"),
        ("de", 900, "15 Minuten"),
        ("de", 3_600, "1 Stunde"),
        ("zh", 180, "3分钟"),
        ("zh", 90, "90秒钟"),
    ],
)
def test_a_span_is_said_in_its_greatest_whole_unit(code: str, seconds: float, said: str) -> None:
    assert language(code).duration(seconds) == said
