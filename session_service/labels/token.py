"""The text of a label: its grammar, its mac and nothing else (DESIGN 6).

    HTTPS://HOST/L/{label id}/{key id}{mac}

Every character is of QR's alphanumeric set (capital letters, digits, ``-``, ``.``, ``:`` and ``/`` among them), so a
label for a host of up to 18 characters is a version 4 code at error correction Q.

The mac covers host, label id and generation: HMAC-SHA-256, cut to 128 bits, in Crockford base32. The generation is
not in the text. A device has few labels in its life, so `is_ours` tries all generations there can be, and what is
forged or altered is refused before the database is asked; `verify` then holds the mac against the one generation in
the label's row. That is sound because a label id is made fresh for each generation: a row has one for good.

A mac is compared as text: 26 characters of base32 carry two bits more than 128, so several texts would decode to one
mac, and an altered label must not be accepted.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from session_service.labels.errors import ForeignLabelError, MalformedLabelError

CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LABEL_ID_CHARS: Final = 10  # 50 random bits: cannot be counted through
KEY_ID_CHARS: Final = 1  # 32 keys: one a year outlives the stickers
MAC_BYTES: Final = 16  # 128 bits: nobody guesses one, and the code stays small
MAC_CHARS: Final = 26  # of five bits each
SECRET_MIN_BYTES: Final = 32  # as long as the hash, RFC 2104 section 3
VERSION_4_HOST_CHARS: Final = 18  # 67 alphanumeric characters fit version 4-Q, and 49 are not the host
HOST_MAX_CHARS: Final = 38  # version 5-Q; a denser code costs reading distance
TEXT_MAX_CHARS: Final = 400  # what is longer is no label: spares the pattern a megabyte
GENERATION_MAX: Final = 100  # one a month for eight years; a forged label is held against all in half a millisecond

_HOST: Final = re.compile(r"[A-Z0-9](?:[A-Z0-9.-]*[A-Z0-9])?(?::[0-9]{1,5})?")
_TEXT: Final = re.compile(
    rf"HTTPS?://(?P<host>{_HOST.pattern})/L/"
    rf"(?P<label_id>[{CROCKFORD}]{{{LABEL_ID_CHARS}}})/"
    rf"(?P<key_id>[{CROCKFORD}]{{{KEY_ID_CHARS}}})(?P<mac>[{CROCKFORD}]{{{MAC_CHARS}}})"
)
_LABEL_ID: Final = re.compile(rf"[{CROCKFORD}]{{{LABEL_ID_CHARS}}}")


@dataclass(frozen=True, slots=True)
class LabelKeys:
    """The secrets that labels are signed with. Old ones stay, because stickers do.

    Attributes:
        secrets: key id (one character of Crockford base32) to secret, at least 32 bytes.
        current: id of the key that signs new labels.

    Raises:
        ValueError: on construction, for an id or a secret that breaks these rules.
    """

    secrets: Mapping[str, bytes] = field(repr=False)
    current: str

    def __post_init__(self) -> None:
        if self.current not in self.secrets:
            msg = f"the current label key {self.current!r} is not among the secrets"
            raise ValueError(msg)
        for key_id, secret in self.secrets.items():
            if len(key_id) != KEY_ID_CHARS or key_id not in CROCKFORD:
                msg = f"a label key's id is one character of {CROCKFORD}, not {key_id!r}"
                raise ValueError(msg)
            if len(secret) < SECRET_MIN_BYTES:
                msg = f"label key {key_id} needs a secret of at least {SECRET_MIN_BYTES} bytes"
                raise ValueError(msg)

    @classmethod
    def newest_current(cls, secrets: Mapping[str, bytes]) -> LabelKeys:
        """Return these keys, of which the one with the greatest id signs new labels.

        Raises:
            ValueError: there is none, or one breaks the rules.
        """
        return cls(secrets=secrets, current=max(secrets, default=""))


@dataclass(frozen=True, slots=True)
class LabelParts:
    """A well-formed label. Whether it is genuine is for `verify` to say."""

    host: str
    label_id: str
    key_id: str
    mac: str

    @property
    def text(self) -> str:
        """The label's one canonical text, as printed."""
        return f"HTTPS://{self.host}/L/{self.label_id}/{self.key_id}{self.mac}"


def mint(keys: LabelKeys, *, host: str, label_id: str, generation: int) -> str:
    """Return the text of a label, signed with the current key.

    Args:
        keys: the secrets.
        host: name or address, with ``:port`` if need be; at most 38 characters, any case.
        label_id: 10 random characters of Crockford base32, fresh for each label.
        generation: the device's how-many-th label, 1 to 100.

    Raises:
        ValueError: if one of them breaks these rules.
    """
    host = canonical_host(host)
    if _LABEL_ID.fullmatch(label_id) is None:
        msg = f"a label id is {LABEL_ID_CHARS} characters of {CROCKFORD}, not {label_id!r}"
        raise ValueError(msg)
    if not 1 <= generation <= GENERATION_MAX:
        msg = f"generations are counted from 1 to {GENERATION_MAX}, not {generation}"
        raise ValueError(msg)
    mac = _mac(keys.secrets[keys.current], host, label_id, generation)
    return LabelParts(host, label_id, keys.current, mac).text


def canonical_host(host: str) -> str:
    """Return the host as labels write it, in capitals.

    Raises:
        ValueError: if it is no host, or longer than 38 characters.
    """
    capital = host.upper() if host.isascii() else ""
    if len(capital) > HOST_MAX_CHARS or _HOST.fullmatch(capital) is None:
        msg = f"a label's host is a name or an address of at most {HOST_MAX_CHARS} characters, not {host!r}"
        raise ValueError(msg)
    return capital


def parse(text: str, *, host: str) -> LabelParts:
    """Return the parts of a label of this host.

    Phones and their browsers may change the case and the scheme of an address and put blanks around it; all of that
    is undone. Anything else is refused.

    Raises:
        MalformedLabelError: the text is no label.
        ForeignLabelError: it is one of another host.
    """
    found = _match(text)
    if found is None:
        detail = "Scan the label again, or another label on the device; its address has the form HTTPS://HOST/L/..."
        raise MalformedLabelError(detail)
    parts = LabelParts(**found.groupdict())
    if parts.host != host.upper():
        detail = f"This label leads to {parts.host}: open that address, or scan a label of {host.upper()}."
        raise ForeignLabelError(detail, host=parts.host)
    return parts


def looks_like_label(text: str) -> bool:
    """Say whether the text is a label of any host, so that a photograph can be asked for the right code."""
    return _match(text) is not None


def verify(parts: LabelParts, keys: LabelKeys, *, generation: int) -> bool:
    """Say, in constant time, whether the mac is this generation's. An unknown key id is a wrong mac."""
    secret = keys.secrets.get(parts.key_id)
    if secret is None:
        return False
    expected = _mac(secret, parts.host, parts.label_id, generation)
    return hmac.compare_digest(expected, parts.mac)


def is_ours(parts: LabelParts, keys: LabelKeys) -> bool:
    """Say whether the mac is right for any generation there can be: whether the label is genuine, row or not.

    A stranger's guess is so called forged whether or not it hits an existing label id. How long this takes tells the
    generation, which is no secret.
    """
    return any(verify(parts, keys, generation=generation) for generation in range(1, GENERATION_MAX + 1))


def _match(text: str) -> re.Match[str] | None:
    # ASCII first: the capitals of some other letters are ASCII, such as those of the dotless i and the long s.
    if len(text) > TEXT_MAX_CHARS or not text.isascii():
        return None
    return _TEXT.fullmatch(text.strip(" \t\r\n").upper())


def _mac(secret: bytes, host: str, label_id: str, generation: int) -> str:
    """Return the mac. The parts are joined by a character that none of them contains."""
    message = f"unlatch-label-1\n{host}\n{label_id}\n{generation}".encode("ascii")
    digest = hmac.digest(secret, message, hashlib.sha256)[:MAC_BYTES]
    number = int.from_bytes(digest, "big") << (5 * MAC_CHARS - 8 * MAC_BYTES)
    return "".join(CROCKFORD[number >> 5 * place & 31] for place in range(MAC_CHARS - 1, -1, -1))
