from __future__ import annotations

import base64

import pytest
from cryptography.fernet import InvalidToken

from session_service.operators import totp

RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()  # RFC 6238, appendix B


@pytest.mark.parametrize(
    ("at_s", "code"),
    [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")],
)
def test_codes_are_those_of_the_rfc(at_s: int, code: str) -> None:
    assert totp.step_of(RFC_SECRET, code, at_s * 1000) == at_s // 30


@pytest.mark.parametrize(("late_s", "good"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_code_may_be_one_step_off(late_s: int, *, good: bool) -> None:
    found = totp.step_of(RFC_SECRET, "081804", (1_111_111_109 + late_s) * 1000)

    assert found == (1_111_111_109 // 30 if good else None)


@pytest.mark.parametrize("code", ["", "0", "081805", "0818040", "٠٨١٨٠٤"])
def test_anything_else_is_no_code(code: str) -> None:
    assert totp.step_of(RFC_SECRET, code, 1_111_111_109_000) is None


def test_a_stored_secret_needs_the_installation_s_own() -> None:
    sealed = totp.box(bytes(32)).encrypt(RFC_SECRET.encode())

    assert RFC_SECRET.encode() not in sealed
    assert totp.box(bytes(32)).decrypt(sealed).decode() == RFC_SECRET
    with pytest.raises(InvalidToken):
        totp.box(b"x" * 32).decrypt(sealed)


def test_an_app_reads_the_address() -> None:
    assert totp.address(RFC_SECRET, "Ada B", "graz") == (
        f"otpauth://totp/Unlatch%20graz:Ada%20B?secret={RFC_SECRET}&issuer=Unlatch%20graz"
    )
