"""What Linux says of signal and temperature, and what of it is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_agent.ports import Vitals
from device_agent.vitals import LinuxVitals

HEAD = "Inter-| sta-|   Quality        |\n face | tus | link level noise |\n"


@pytest.mark.parametrize(
    ("wireless", "thermal", "expected"),
    [
        (HEAD + " wlan0: 0000   54.  -56.  -256        0\n", "48312\n", Vitals(-56, 48.3)),
        (HEAD, "warm", Vitals()),
        (HEAD + " wlan0: 0000   54.  56.  0        0\n", "999000\n", Vitals()),  # counted otherwise, and broken
        (None, None, Vitals()),
    ],
    ids=["a board", "no radio", "nonsense", "no files"],
)
def test_what_the_kernel_says_is_read(
    tmp_path: Path, wireless: str | None, thermal: str | None, expected: Vitals
) -> None:
    for name, text in (("wireless", wireless), ("temp", thermal)):
        if text is not None:
            (tmp_path / name).write_text(text)
    assert LinuxVitals(tmp_path / "wireless", tmp_path / "temp")() == expected
