from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from session_service.labels.errors import NoLabelInPhotoError
from session_service.labels.reader import read
from session_service.labels.token import looks_like_label
from simulators.camera import Difficulty, photograph
from tests.support.photos import label_text

PHOTOS = 60


def _read(number: int, difficulty: Difficulty) -> bool:
    """Read one photograph, without a bound on time; a text that is a label but another one would be a wrong read."""
    photo = photograph(label_text(number), np.random.default_rng(number), difficulty)
    try:
        text = read(photo, looks_like_label, now_ms=lambda: 0)
    except NoLabelInPhotoError:
        return False
    assert text == label_text(number)
    return True


def _count_read(difficulty: Difficulty) -> int:
    return sum(_read(number, difficulty) for number in range(PHOTOS))


def test_the_reader_reads_easy_photographs_all() -> None:
    assert _count_read(Difficulty.EASY) == PHOTOS


def test_the_reader_reads_nineteen_of_twenty_street_photographs() -> None:
    assert _count_read(Difficulty.STREET) >= 0.95 * PHOTOS


def test_hard_photographs_are_hard_but_not_hopeless() -> None:
    assert 0.3 * PHOTOS <= _count_read(Difficulty.HARD) <= 0.8 * PHOTOS


@pytest.mark.parametrize("difficulty", Difficulty)
def test_a_seed_gives_the_same_photograph_and_another_seed_another(difficulty: Difficulty) -> None:
    first, again, other = (photograph(label_text(), np.random.default_rng(s), difficulty) for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_photograph_is_a_small_jpeg() -> None:
    photo = photograph(label_text(), np.random.default_rng(1))
    picture = Image.open(io.BytesIO(photo))
    assert (picture.format, picture.size) == ("JPEG", (640, 480))
    assert len(photo) < 200_000


def test_one_photograph_leaves_the_next_of_the_same_label_clean() -> None:
    clean = photograph(label_text(5), np.random.default_rng(5), Difficulty.EASY)
    photograph(label_text(5), np.random.default_rng(6), Difficulty.HARD)
    assert photograph(label_text(5), np.random.default_rng(5), Difficulty.EASY) == clean


def test_a_text_that_no_code_holds_is_refused() -> None:
    with pytest.raises(ValueError, match=r"version|Invalid"):
        photograph("A" * 5_000, np.random.default_rng(1))
