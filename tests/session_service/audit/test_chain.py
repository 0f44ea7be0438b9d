from __future__ import annotations

import hashlib
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from session_service.audit.chain import GENESIS, Content, hash_of
from simulators.invariants import chain as invariants

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
CONTENTS = st.builds(Content, st.integers(1, 99), st.integers(0, 9), TEXT, TEXT, TEXT, TEXT)


def test_the_hash_is_what_the_documentation_says() -> None:
    content = Content(12, 1_700_000_000_000, "operator:A", "label.mint", "label:L", "für ein Rad")
    form = f"unlatch audit 1\n2:12,13:1700000000000,10:operator:A,10:label.mint,7:label:L,12:für ein Rad,64:{GENESIS},"
    assert hash_of(content, GENESIS) == hashlib.sha256(form.encode()).hexdigest()


@given(CONTENTS, CONTENTS)
def test_no_two_rows_have_the_same_hash(one: Content, other: Content) -> None:
    assert (hash_of(one, GENESIS) == hash_of(other, GENESIS)) == (one == other)


@given(TEXT, TEXT, TEXT)
def test_text_cannot_be_moved_from_one_field_to_the_next(a: str, b: str, c: str) -> None:
    if b:
        one, other = Content(1, 1, a + b, c, "", ""), Content(1, 1, a, b + c, "", "")
        assert hash_of(one, GENESIS) != hash_of(other, GENESIS)


@given(CONTENTS)
def test_others_come_to_the_same_by_the_description(content: Content) -> None:
    row = SimpleNamespace(**content._asdict(), previous=GENESIS)
    assert invariants.link(row) == hash_of(content, GENESIS)


@given(CONTENTS)
def test_the_row_before_counts(content: Content) -> None:
    assert hash_of(content, GENESIS) != hash_of(content, "1" * 64)
