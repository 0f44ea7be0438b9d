"""The rotating code: RFC 6238, half a minute of drift, once each."""

from __future__ import annotations

import pyotp
import pytest

from session_service.presence.display import display_secret, step_of

NOW_MS = 1_700_000_000_000
STEP = NOW_MS // 30_000
SECRET = display_secret(b"s" * 32, "AAAAAAAAAA", 1)


def code(steps: int = 0, secret: str = SECRET) -> str:
    return pyotp.TOTP(secret).at(NOW_MS // 1000 + 30 * steps)


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_code_of_now_or_one_step_beside_is_good(steps: int) -> None:
    assert step_of(code(steps), SECRET, NOW_MS, after_step=0) == STEP + steps


@pytest.mark.parametrize("steps", [-2, 2])
def test_a_code_of_two_steps_beside_is_not(steps: int) -> None:
    assert step_of(code(steps), SECRET, NOW_MS, after_step=0) is None


def test_a_code_is_good_once_and_so_are_those_before_it() -> None:
    assert step_of(code(), SECRET, NOW_MS, after_step=STEP) is None
    assert step_of(code(-1), SECRET, NOW_MS, after_step=STEP) is None
    assert step_of(code(1), SECRET, NOW_MS, after_step=STEP) == STEP + 1


def test_every_device_every_version_and_every_installation_has_a_secret_of_its_own() -> None:
    secrets = {
        display_secret(key, device, version)
        for key in (b"s" * 32, b"t" * 32)
        for device in ("AAAAAAAAAA", "BBBBBBBBBB")
        for version in (1, 2)
    }
    assert len(secrets) == 8
    assert {len(secret) for secret in secrets} == {32}


def test_codes_are_those_of_the_rfc() -> None:
    """RFC 6238 appendix B, SHA-1, the last six of its eight digits."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    assert step_of("287082", secret, 59_000, after_step=0) == 1
    assert step_of("081804", secret, 1_111_111_109_000, after_step=0) == 37_037_036
