from __future__ import annotations

import pytest

from session_service.passkeys.challenges import CHALLENGE_MS, RANDOM_BYTES, For, seal, unseal

SECRET = bytes(range(32))
RIDER = "01HF0000000000000000000000"
NOW_MS = 1_800_000_000_000
CHALLENGE = seal(SECRET, For.ADDING, RIDER, bytes(RANDOM_BYTES), NOW_MS)


def test_a_challenge_of_ours_says_when_it_ends() -> None:
    found = unseal(SECRET, For.ADDING, RIDER, CHALLENGE, NOW_MS + CHALLENGE_MS - 1)

    assert found is not None
    assert found.expires_at_ms == NOW_MS + CHALLENGE_MS
    assert len(found.sha256) == 64


@pytest.mark.parametrize(
    ("secret", "purpose", "rider_id", "late_ms"),
    [
        pytest.param(bytes(32), For.ADDING, RIDER, 0, id="another installation's"),
        pytest.param(SECRET, For.SIGNING_IN, RIDER, 0, id="for something else"),
        pytest.param(SECRET, For.ADDING, RIDER[:-1] + "1", 0, id="for somebody else"),
        pytest.param(SECRET, For.ADDING, "", 0, id="for nobody"),
        pytest.param(SECRET, For.ADDING, RIDER, CHALLENGE_MS, id="too late"),
    ],
)
def test_any_other_is_none(secret: bytes, purpose: For, rider_id: str, late_ms: int) -> None:
    assert unseal(secret, purpose, rider_id, CHALLENGE, NOW_MS + late_ms) is None


@pytest.mark.parametrize("place", range(len(CHALLENGE)))
def test_no_byte_can_be_changed(place: int) -> None:
    changed = CHALLENGE[:place] + bytes([CHALLENGE[place] ^ 1]) + CHALLENGE[place + 1 :]

    assert unseal(SECRET, For.ADDING, RIDER, changed, NOW_MS) is None


@pytest.mark.parametrize("challenge", [b"", b"x", CHALLENGE[:-1], CHALLENGE + b"\0", b"\0" + CHALLENGE])
def test_what_has_another_length_is_none(challenge: bytes) -> None:
    assert unseal(SECRET, For.ADDING, RIDER, challenge, NOW_MS) is None
