from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from session_service.labels.errors import ForeignLabelError, MalformedLabelError
from session_service.labels.token import (
    CROCKFORD,
    GENERATION_MAX,
    HOST_MAX_CHARS,
    LabelKeys,
    LabelParts,
    is_ours,
    looks_like_label,
    mint,
    parse,
    verify,
)

HOST = "UNLATCH.EXAMPLE"
KEYS = LabelKeys(secrets={"A": b"a" * 32, "B": b"b" * 32}, current="A")
LABEL_ID = "0123456789"
TEXT = mint(KEYS, host=HOST, label_id=LABEL_ID, generation=3)

ids = st.text(CROCKFORD, min_size=10, max_size=10)
generations = st.integers(1, GENERATION_MAX)


def test_a_label_has_the_form_of_the_design() -> None:
    head, mac = TEXT[:-26], TEXT[-26:]
    assert head == "HTTPS://UNLATCH.EXAMPLE/L/0123456789/A"
    assert set(mac) <= set(CROCKFORD)


def test_the_mac_is_hmac_sha_256_cut_to_128_bits() -> None:
    mac = parse(TEXT, host=HOST).mac
    number = 0
    for char in mac:
        number = number * 32 + CROCKFORD.index(char)
    message = b"unlatch-label-1\nUNLATCH.EXAMPLE\n0123456789\n3"
    expected = hmac.new(b"a" * 32, message, hashlib.sha256).digest()[:16]
    assert (number >> 2).to_bytes(16, "big") == expected
    assert number & 3 == 0


@given(ids, generations)
def test_a_minted_label_verifies(label_id: str, generation: int) -> None:
    parts = parse(mint(KEYS, host=HOST, label_id=label_id, generation=generation), host=HOST)
    assert parts.label_id == label_id
    assert verify(parts, KEYS, generation=generation)


@given(ids, generations, generations)
def test_a_mac_belongs_to_one_generation(label_id: str, minted: int, asked: int) -> None:
    parts = parse(mint(KEYS, host=HOST, label_id=label_id, generation=minted), host=HOST)
    assert verify(parts, KEYS, generation=asked) is (minted == asked)


def _accepted(text: str) -> bool:
    try:
        parts = parse(text, host=HOST)
    except (MalformedLabelError, ForeignLabelError):
        return False
    return verify(parts, KEYS, generation=3) and parts.label_id == LABEL_ID


@given(st.integers(0, len(TEXT) - 1), st.characters())
def test_any_altered_character_is_refused(place: int, char: str) -> None:
    altered = TEXT[:place] + char + TEXT[place + 1 :]
    same = char.isascii() and altered.upper() == TEXT
    assert _accepted(altered) is same


@pytest.mark.parametrize("place", range(len(TEXT)))
def test_every_other_character_of_the_qr_set_is_refused_at_every_place(place: int) -> None:
    for char in set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:") - {TEXT[place]}:
        assert not _accepted(TEXT[:place] + char + TEXT[place + 1 :])


@given(st.integers(0, len(TEXT) - 1))
def test_a_missing_character_is_refused_but_for_the_s_of_https(place: int) -> None:
    assert (place == TEXT.index("S:")) is _accepted(TEXT[:place] + TEXT[place + 1 :])


@given(st.integers(0, len(TEXT)), st.characters(exclude_characters=" \t\r\n"))
def test_an_added_character_is_refused(place: int, char: str) -> None:
    assert not _accepted(TEXT[:place] + char + TEXT[place:])


@pytest.mark.parametrize(
    "text",
    [TEXT.lower(), TEXT.replace("HTTPS", "http"), f"  {TEXT}\r\n", TEXT.replace(HOST, HOST.lower())],
    ids=["lower case", "http", "blanks around", "lower-case host"],
)
def test_what_phones_do_to_an_address_is_undone(text: str) -> None:
    assert parse(text, host=HOST).text == TEXT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "https://unlatch.example/",
        TEXT + "/",
        TEXT + "?a=b",
        TEXT + "#x",
        TEXT.replace("HTTPS://", "HTTPS://USER@"),
        TEXT.replace("HTTPS", "FTP"),
        TEXT.replace("HTTPS", "http\u017f"),
        TEXT.replace("/L/", "/\u0141/"),
        TEXT.replace(HOST, ""),
        TEXT.replace(HOST, "A" * 39),
        TEXT.replace("0", "\u0660"),
        TEXT + "\x00",
        "A" * 1_000_000,
    ],
)
def test_other_texts_are_malformed(text: str) -> None:
    with pytest.raises((MalformedLabelError, ForeignLabelError)):
        parse(text, host=HOST)


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    with pytest.raises(MalformedLabelError):
        parse(text, host=HOST)


def test_a_label_of_another_host_is_foreign_and_says_whose_it_is() -> None:
    with pytest.raises(ForeignLabelError) as caught:
        parse(mint(KEYS, host="other.example", label_id=LABEL_ID, generation=3), host=HOST)
    assert caught.value.extra == {"host": "OTHER.EXAMPLE"}


def test_the_host_is_under_the_mac() -> None:
    foreign = parse(mint(KEYS, host="OTHER.EXAMPLE", label_id=LABEL_ID, generation=3), host="OTHER.EXAMPLE")
    moved = LabelParts(HOST, foreign.label_id, foreign.key_id, foreign.mac)
    assert verify(foreign, KEYS, generation=3)
    assert not verify(moved, KEYS, generation=3)


def test_a_port_is_part_of_the_host() -> None:
    text = mint(KEYS, host="127.0.0.1:8080", label_id=LABEL_ID, generation=1)
    assert verify(parse(text, host="127.0.0.1:8080"), KEYS, generation=1)
    with pytest.raises(ForeignLabelError):
        parse(text, host="127.0.0.1:8081")


def test_labels_of_an_old_key_stay_good_until_it_is_taken_away() -> None:
    rotated = LabelKeys(secrets=KEYS.secrets, current="B")
    parts = parse(TEXT, host=HOST)
    assert verify(parts, rotated, generation=3)
    assert parse(mint(rotated, host=HOST, label_id=LABEL_ID, generation=3), host=HOST).key_id == "B"
    assert not verify(parts, LabelKeys(secrets={"B": b"b" * 32}, current="B"), generation=3)


@pytest.mark.parametrize("generation", [1, GENERATION_MAX])
def test_a_genuine_label_is_known_without_its_generation(generation: int) -> None:
    text = mint(KEYS, host=HOST, label_id=LABEL_ID, generation=generation)
    assert is_ours(parse(text, host=HOST), KEYS)


def test_a_forged_label_is_of_no_generation() -> None:
    parts = parse(TEXT, host=HOST)
    assert not is_ours(LabelParts(parts.host, "9876543210", parts.key_id, parts.mac), KEYS)
    assert not is_ours(LabelParts(parts.host, LABEL_ID, "B", parts.mac), KEYS)
    assert not is_ours(LabelParts(parts.host, LABEL_ID, "C", parts.mac), KEYS)


def test_the_key_with_the_greatest_id_signs() -> None:
    assert LabelKeys.newest_current({"B": b"b" * 32, "9": b"9" * 32}).current == "B"
    with pytest.raises(ValueError, match="label key"):
        LabelKeys.newest_current({})


def test_a_label_of_any_host_looks_like_one() -> None:
    assert looks_like_label(mint(KEYS, host="other.example", label_id=LABEL_ID, generation=1).lower())
    assert not looks_like_label("https://other.example/menu")


@pytest.mark.parametrize(
    ("host", "label_id", "generation"),
    [
        ("", LABEL_ID, 1),
        ("a/b", LABEL_ID, 1),
        ("b\u00fccher.example", LABEL_ID, 1),
        ("a" * (HOST_MAX_CHARS + 1), LABEL_ID, 1),
        (HOST, "012345678", 1),
        (HOST, "012345678I", 1),
        (HOST, "012345678a", 1),
        (HOST, LABEL_ID, 0),
        (HOST, LABEL_ID, GENERATION_MAX + 1),
    ],
)
def test_what_could_not_be_read_back_is_not_minted(host: str, label_id: str, generation: int) -> None:
    with pytest.raises(ValueError, match=r"host|label id|generations"):
        mint(KEYS, host=host, label_id=label_id, generation=generation)


@pytest.mark.parametrize(
    ("secrets", "current"),
    [({"A": b"a" * 31}, "A"), ({"A": b"a" * 32}, "B"), ({"I": b"a" * 32}, "I"), ({"AB": b"a" * 32}, "AB"), ({}, "A")],
)
def test_unsound_keys_are_refused(secrets: dict[str, bytes], current: str) -> None:
    with pytest.raises(ValueError, match="label key"):
        LabelKeys(secrets=secrets, current=current)


def test_secrets_do_not_show_in_logs() -> None:
    assert "aaaa" not in repr(KEYS)
